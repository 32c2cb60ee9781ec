//go:build unix

package datafile

import "golang.org/x/sys/unix"

// safeFlags make the opening of a link or a pipe fail or return at once.
const safeFlags = unix.O_NOFOLLOW | unix.O_NONBLOCK

// refusesLinks tells that safeFlags do so.
const refusesLinks = true
