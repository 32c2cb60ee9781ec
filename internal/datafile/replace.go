package datafile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// unfinishedExtension is the extension of a new file until it is complete.
const unfinishedExtension = ".new"

// Replace creates or replaces a file atomically. It returns after the content and the
// directory's entry are on stable storage. It follows no link, and must not be called
// concurrently for one path.
func Replace(path string, content []byte, perm fs.FileMode) error {
	unfinished := path + unfinishedExtension
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// O_EXCL follows no link.
	file, err := os.OpenFile(unfinished, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}
