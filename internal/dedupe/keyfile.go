package dedupe

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// The key of the hashes is in the directory of the generations, whose files are useless
// without it.
const keyName = "key"

// secret returns the directory's key. It quarantines and replaces an unusable key, after
// which the window is empty.
func (l *log) secret() secret {
	path := filepath.Join(l.dir, keyName)
	key, err := readSecret(path)
	if err == nil {
		return key
	}
	if !errors.Is(err, fs.ErrNotExist) {
		l.logger.Warn("the key of the duplicate window cannot be used and is quarantined with the files that were written with it: packets that were accepted before and are sent again are delivered twice",
			"file", path, "error", errors.Join(err, os.Rename(path, path+unreadableExtension)))
	}
	key = newSecret()
	if err := writeSecret(l.dir, key); err != nil {
		l.logger.Warn("the key of the duplicate window cannot be written: packets that are accepted from now on, and sent again after a restart, are delivered twice",
			"file", path, "error", err)
	}
	return key
}

// readSecret reads a key file.
func readSecret(path string) (key secret, err error) {
	file, err := datafile.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return key, err
	}
	defer file.Close() //nolint:errcheck // it is only read
	content, err := io.ReadAll(io.LimitReader(file, int64(len(key))+1))
	if err != nil {
		return key, err
	}
	if copy(key[:], content); len(content) != len(key) {
		return secret{}, fmt.Errorf("it must have %d bytes", len(key))
	}
	return key, nil
}

// writeSecret creates the key file atomically.
func writeSecret(dir string, key secret) error {
	return datafile.Replace(filepath.Join(dir, keyName), key[:], 0o600)
}
