//go:build !unix

package datafile

// safeFlags are none: Open compares what was opened with what is at the path.
const safeFlags = 0

// refusesLinks tells that safeFlags do so.
const refusesLinks = false
