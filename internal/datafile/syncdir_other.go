//go:build !windows

package datafile

import (
	"errors"
	"os"
)

// SyncDir returns after the entries of a directory are on stable storage.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
