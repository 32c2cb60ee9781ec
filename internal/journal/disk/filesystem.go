package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// fileSystem is the journal's view of the operating system. Tests replace it with one
// that injects faults and drops unsynced data.
type fileSystem interface {
	// MakeDir creates a directory and its parents and syncs their parents. The
	// directory itself must not be a link.
	MakeDir(path string) error
	// List returns the names of the regular files in a directory, sorted.
	List(dir string) ([]string, error)
	// Irregular returns the names of the other entries of a directory.
	Irregular(dir string) []string
	// Create creates a file that must not exist, and allocates size bytes for it. If size is
	// not 0, the file is only written from its start to its end.
	Create(path string, size int64) (file, error)
	// Open opens a file for reading.
	Open(path string) (file, error)
	Truncate(path string, size int64) error
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(path string) error
	// Free returns the free bytes of the file system of a directory.
	Free(dir string) (int64, error)
	// Lock locks a file without waiting.
	Lock(path string) (directoryLock, error)
	// Close releases the resources for writing created files, all of which are closed.
	Close()
}

// directoryLock is a held lock. Close releases it.
type directoryLock interface {
	io.Closer
	// Check returns an error if the lock file is no longer at its path, where another
	// process may have created and locked one.
	Check() error
}

type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// WriteSynced writes b, and returns after it and all earlier writes are on stable
	// storage.
	WriteSynced(b []byte, offset int64) error
	// Sync returns after all writes are on stable storage.
	Sync() error
	// Alignment returns the number of which the offset, the length and the memory's address
	// of each write must be multiples: 1 or maxAlignment.
	Alignment() int
	Truncate(size int64) error
	Size() (int64, error)
	// DataEnd returns the offset after the last byte that may not be zero.
	DataEnd() (int64, error)
	// Check returns an error if the file is no longer at its path.
	Check() error
}

// maxAlignment is the largest alignment of writes, a power of two.
const maxAlignment = 4096

// writeSynced is file.WriteSynced by a write and a sync.
func writeSynced(f file, b []byte, offset int64) error {
	if _, err := f.WriteAt(b, offset); err != nil {
		return err
	}
	return f.Sync()
}

// osFiles is the operating system's file system. One goroutine at a time may create files and
// write to them.
type osFiles struct{ direct directWriting }

func (*osFiles) MakeDir(path string) error {
	if err := makeDir(path); err != nil {
		return err
	}
	return datafile.CheckDir(path)
}

func makeDir(path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(parent); isNotExist(err) && parent != path {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return datafile.SyncDir(parent)
}

func (*osFiles) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

func (*osFiles) Irregular(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	return names
}

func (s *osFiles) Create(path string, size int64) (file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
	if err != nil {
		return nil, err
	}
	created, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if size > 0 {
		err = reserve(f, size)
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, fmt.Errorf("reserve %d bytes for %s: %w", size, path, err)
	}
	if size == 0 {
		return osFile{f, created}, nil
	}
	return s.direct.segment(osFile{f, created}, size), nil
}

func (*osFiles) Open(path string) (file, error) {
	f, err := datafile.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	adviseSequential(f)
	return osFile{File: f}, nil
}

func (*osFiles) Truncate(path string, size int64) error { return os.Truncate(path, size) }
func (*osFiles) Rename(from, to string) error           { return os.Rename(from, to) }
func (*osFiles) Remove(path string) error               { return os.Remove(path) }
func (*osFiles) SyncDir(path string) error              { return datafile.SyncDir(path) }
func (s *osFiles) Close()                               { s.direct.close() }

func (*osFiles) Free(dir string) (int64, error) {
	free, err := freeBytes(dir)
	if err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return free, nil
}

// Lock takes a lock that ends with the process.
func (*osFiles) Lock(path string) (directoryLock, error) {
	f, err := datafile.Lock(path)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return osFile{f, opened}, nil
}

// osFile is an open file.
type osFile struct {
	*os.File
	created fs.FileInfo // for Check; nil for files that are only read
}

func (f osFile) Check() error {
	if datafile.IsAt(f.created, f.Name()) {
		return nil
	}
	return fmt.Errorf("%s no longer exists: its directory was removed, moved or replaced", f.Name())
}

func (f osFile) DataEnd() (int64, error) {
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	return dataEnd(f.File, size), nil
}

func (f osFile) Sync() error { return syncData(f.File) }

func (f osFile) WriteSynced(b []byte, offset int64) error { return writeSynced(f, b, offset) }

func (f osFile) Alignment() int { return 1 }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
