//go:build !unix

package datafile

// safeFlags is 0: Open compares the opened file with the file at the path.
const safeFlags = 0

// nonBlocking is 0: there are no pipes to open by a path of a data directory.
const nonBlocking = 0

// refusesLinks reports whether safeFlags make an open of a link fail.
const refusesLinks = false
