package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// process returns the disk as the running process sees it.
func (s *crashDisk) process() crashFiles { return crashFiles{s, s.generation} }

// crashFiles is the disk as one process sees it.
type crashFiles struct {
	*crashDisk
	generation int
}

var errDead = errors.New("the process is dead")

func (s crashFiles) check(operation, path string) error {
	if s.generation != s.crashDisk.generation {
		return errDead
	}
	if s.failure != nil {
		return s.failure(operation, path)
	}
	return nil
}

type crashHandle struct {
	*crashFile
	system crashFiles
}

func (s crashFiles) MakeDir(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.check("mkdir", path)
}

func (s crashFiles) List(dir string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for path := range s.files {
		if filepath.Dir(path) == dir {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (s crashFiles) Irregular(string) []string { return nil }

func (s crashFiles) Create(path string, size int64) (file, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check("create", path); err != nil {
		return nil, err
	}
	if s.files[path] != nil {
		return nil, fs.ErrExist
	}
	if s.free < size {
		return nil, syscall.ENOSPC
	}
	f := &crashFile{path: path, now: make([]byte, size)}
	s.files[path] = f
	return crashHandle{f, s}, nil
}

func (s crashFiles) Open(path string) (file, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check("open", path); err != nil {
		return nil, err
	}
	f := s.files[path]
	if f == nil {
		return nil, fmt.Errorf("open %s: %w", path, fs.ErrNotExist)
	}
	return crashHandle{f, s}, nil
}

func (s crashFiles) Truncate(path string, size int64) error {
	f, err := s.Open(path)
	if err != nil {
		return err
	}
	return f.Truncate(size)
}

func (s crashFiles) Rename(from, to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check("rename", from); err != nil {
		return err
	}
	s.files[to] = s.files[from]
	delete(s.files, from)
	return nil
}

func (s crashFiles) Remove(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check("remove", path); err != nil {
		return err
	}
	delete(s.files, path)
	return nil
}

func (s crashFiles) SyncDir(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check("syncdir", dir); err != nil {
		return err
	}
	for path := range s.durable {
		if filepath.Dir(path) == dir && s.files[path] == nil {
			delete(s.durable, path)
		}
	}
	for path, f := range s.files {
		if filepath.Dir(path) == dir {
			s.durable[path] = f
		}
	}
	return nil
}

func (s crashFiles) Free(string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free, nil
}

func (s crashFiles) Lock(path string) (directoryLock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locked[path] {
		return nil, &datafile.LockedError{Path: path}
	}
	s.locked[path] = true
	return unlock(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.check("unlock", path) == nil {
			delete(s.locked, path)
		}
	}), nil
}

func (s crashFiles) Close() {}

type unlock func()

func (u unlock) Close() error { u(); return nil }
func (u unlock) Check() error { return nil }

func (f crashHandle) ReadAt(b []byte, offset int64) (int, error) {
	f.system.mu.Lock()
	defer f.system.mu.Unlock()
	if err := f.system.check("read", f.path); err != nil {
		return 0, err
	}
	if offset >= int64(len(f.now)) {
		return 0, io.EOF
	}
	n := copy(b, f.now[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f crashHandle) WriteAt(b []byte, offset int64) (int, error) {
	if unit := f.Alignment(); int(offset)%unit != 0 || len(b)%unit != 0 || unit > 1 && reflect.ValueOf(b).Pointer()%uintptr(unit) != 0 {
		panic(fmt.Sprintf("a write of %d bytes at %d is not aligned to %d", len(b), offset, unit))
	}
	f.system.mu.Lock()
	defer f.system.mu.Unlock()
	err := f.system.check("write", f.path)
	if errors.Is(err, errDead) {
		return 0, err
	}
	if missing := int(offset) + len(b) - len(f.now); missing > 0 {
		f.now = append(f.now, make([]byte, missing)...)
	}
	if err != nil {
		half := copy(f.now[offset:], b[:len(b)/2])
		return half, err
	}
	return copy(f.now[offset:], b), nil
}

func (f crashHandle) WriteSynced(b []byte, offset int64) error { return writeSynced(f, b, offset) }

func (f crashHandle) Alignment() int {
	if strings.HasSuffix(f.path, segmentSuffix) {
		return f.system.alignment
	}
	return 1
}

func (f crashHandle) Sync() error {
	f.system.mu.Lock()
	defer f.system.mu.Unlock()
	if err := f.system.check("sync", f.path); err != nil {
		return err
	}
	f.synced = slices.Clone(f.now)
	return nil
}

func (f crashHandle) Truncate(size int64) error {
	f.system.mu.Lock()
	defer f.system.mu.Unlock()
	if err := f.system.check("truncate", f.path); err != nil {
		return err
	}
	if size > int64(len(f.now)) {
		return errors.New("not used: a truncation that makes a file longer")
	}
	f.now = f.now[:size:size]
	return nil
}

func (f crashHandle) Size() (int64, error) {
	f.system.mu.Lock()
	defer f.system.mu.Unlock()
	return int64(len(f.now)), nil
}

func (f crashHandle) DataEnd() (int64, error) { return f.Size() }

func (f crashHandle) Check() error {
	f.system.mu.Lock()
	defer f.system.mu.Unlock()
	if f.system.files[f.path] != f.crashFile {
		return fmt.Errorf("%s has vanished", f.path)
	}
	return nil
}

func (f crashHandle) Close() error { return nil }
