//go:build unix

package datafile

import "golang.org/x/sys/unix"

// safeFlags make an open of a link fail and an open of a pipe not block.
const safeFlags = unix.O_NOFOLLOW | nonBlocking

// nonBlocking makes an open of a pipe not block.
const nonBlocking = unix.O_NONBLOCK

// refusesLinks reports whether safeFlags make an open of a link fail.
const refusesLinks = true
