//go:build unix

package datafile

import "golang.org/x/sys/unix"

// access returns an error if entries cannot be created in a directory.
func access(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}
