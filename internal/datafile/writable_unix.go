//go:build unix

package datafile

import "golang.org/x/sys/unix"

// access returns why entries cannot be made in a folder.
func access(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}
