package jetstream

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// quarantine is the directory of envelopes that cannot be read, up to quarantineMaxBytes. Envelopes
// above that are only counted and logged.
type quarantine struct{ dir string }

const quarantineMaxBytes = 256 << 20

// add keeps an envelope and returns its path.
func (q quarantine) add(stream string, sequence uint64, data []byte) (path string, err error) {
	if q.dir == "" {
		return "", errors.New("there is no directory for it")
	}
	if err := datafile.MakeDir(q.dir, 0o700); err != nil {
		return "", err
	}
	if q.size()+int64(len(data)) > quarantineMaxBytes {
		return "", fmt.Errorf("%s is full: %d bytes are not copied", q.dir, len(data))
	}
	path = filepath.Join(q.dir, fmt.Sprintf("%s-%d.envelope", stream, sequence))
	return path, datafile.Replace(path, data, 0o600)
}

func (q quarantine) size() (total int64) {
	entries, _ := os.ReadDir(q.dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	return total
}
