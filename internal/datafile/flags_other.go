//go:build !unix

package datafile

// safeFlags is 0: Open compares the opened file with the file at the path.
const safeFlags = 0

// refusesLinks reports whether safeFlags make an open of a link fail.
const refusesLinks = false
