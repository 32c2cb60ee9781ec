package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// storeFile is the name of the file in DATA_DIR.
const storeFile = "overrides.json"

// maxStoreBytes bounds the file.
const maxStoreBytes = 16 << 20

// fileStore keeps the content in DATA_DIR, for one distributor over restarts; a fileStore without a
// directory keeps nothing.
type fileStore struct{ dir string }

// load returns the content, which is empty if there is no file.
func (s fileStore) load() (content stored, err error) {
	text, err := readStored(s.dir, storeFile, maxStoreBytes)
	if text == nil || err != nil {
		return content, err
	}
	err = json.Unmarshal(text, &content)
	if err == nil && content.Version != storeVersion {
		err = fmt.Errorf("its version is %d: this program reads version %d", content.Version, storeVersion)
	}
	if err != nil {
		return content, fmt.Errorf("%s: %w; move the file away to start without the changes that it keeps", filepath.Join(s.dir, storeFile), err)
	}
	return content, nil
}

// readStored reads a file of DATA_DIR, up to a limit in bytes. It returns nil if there is no file
// or no directory.
func readStored(dir, name string, limit int64) ([]byte, error) {
	if dir == "" || datafile.CheckDir(dir) != nil { // another check reports an unusable DATA_DIR
		return nil, nil
	}
	file, err := datafile.Open(filepath.Join(dir, name), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, limit))
}

// save replaces the file. It returns when the new file survives a loss of power.
func (s fileStore) save(_ context.Context, content stored) (stored, error) {
	if s.dir == "" {
		return content, nil
	}
	content.Version = storeVersion
	text, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return content, err
	}
	if len(text) > maxStoreBytes {
		return content, fmt.Errorf("the overrides have %d bytes: there may be %d; revert some", len(text), maxStoreBytes)
	}
	if err := datafile.MakeDir(s.dir, 0o750); err != nil {
		return content, err
	}
	return content, datafile.Replace(filepath.Join(s.dir, storeFile), append(text, '\n'), 0o640)
}

// latest returns nothing, because no other distributor shares the file.
func (fileStore) latest() (stored, error) { return stored{}, nil }

func (fileStore) refresh(context.Context) error { return nil }

func (fileStore) changed() <-chan struct{} { return nil }

func (fileStore) status() StoreStatus { return StoreStatus{Synchronized: true} }

func (fileStore) close() {}
