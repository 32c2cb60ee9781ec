package emitter

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// fingerprintBytes is the length of a file's beginning that identifies it.
const fingerprintBytes = 1024

// identity distinguishes a file from others that have its path, across restarts.
type identity struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// fingerprint identifies a file by its first bytes, up to fingerprintBytes.
type fingerprint struct {
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// fingerprintOf returns the fingerprint of the first bytes of a file, or of all while it is
// shorter.
func fingerprintOf(file io.ReaderAt, bytes int) (fingerprint, error) {
	start := make([]byte, bytes)
	n, err := file.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return fingerprint{}, err
	}
	sum := sha256.Sum256(start[:n])
	return fingerprint{n, hex.EncodeToString(sum[:16])}, nil
}

// matches reports whether the beginning of a file has the fingerprint.
func (f fingerprint) matches(file io.ReaderAt) bool {
	now, err := fingerprintOf(file, f.Bytes)
	return err == nil && (f.Bytes == 0 || now == f)
}

// differs reports whether the beginning of a file has another fingerprint. A file that cannot be
// read does not differ.
func (f fingerprint) differs(file io.ReaderAt) bool {
	now, err := fingerprintOf(file, f.Bytes)
	return err == nil && f.Bytes > 0 && now != f
}

// openLog opens a regular file that is named by an operator: it follows links, and does not
// block on a pipe.
func openLog(path string) (*os.File, os.FileInfo, identity, error) {
	file, err := datafile.OpenFollowing(path)
	if err != nil {
		return nil, nil, identity{}, err
	}
	info, err := file.Stat()
	if err == nil {
		var id identity
		if id, err = identityOf(file, info); err == nil {
			return file, info, id, nil
		}
	}
	return nil, nil, identity{}, errors.Join(err, file.Close())
}
