package datafile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Lines is a file of lines that is rotated, such as audit.ndjson with the older files
// audit.1.ndjson and so on. It must not be used concurrently.
type Lines struct {
	Dir, Name, Extension string
	// MaxBytes is the size at which the file is rotated, Files the number of files that are kept.
	MaxBytes int64
	Files    int
	// Sync makes a line survive a loss of power; if nil, lines are not synced.
	Sync func(*os.File) error

	file *os.File // nil: the file is not open
	size int64
}

// Path returns the path of a file: 0 is the file of the latest lines, 1 the next older file.
func (l *Lines) Path(i int) string {
	if i == 0 {
		return filepath.Join(l.Dir, l.Name+l.Extension)
	}
	return filepath.Join(l.Dir, fmt.Sprintf("%s.%d%s", l.Name, i, l.Extension))
}

// Write appends a line, which must end with a line feed. It returns once the line is synced.
// After an error no part of the line is in the file.
func (l *Lines) Write(line []byte) error {
	if l.file != nil {
		if info, err := l.file.Stat(); err != nil || !IsAt(info, l.Path(0)) {
			l.Close() // an operator moved the file away
		}
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	if l.size > 0 && l.size+int64(len(line)) > l.MaxBytes {
		l.Close()
		if err := errors.Join(l.rotate(), l.open()); err != nil {
			return err
		}
	}
	_, err := l.file.Write(line)
	if err == nil && l.Sync != nil {
		err = l.Sync(l.file)
	}
	if err != nil {
		_ = l.file.Truncate(l.size) // the next line must not continue an incomplete one
		l.Close()                   // a file whose sync failed cannot be trusted
		return err
	}
	l.size += int64(len(line))
	return nil
}

// rotate renames the files to start a new one, and deletes the oldest.
func (l *Lines) rotate() error {
	for i := l.Files - 1; i > 0; i-- {
		if err := os.Rename(l.Path(i-1), l.Path(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (l *Lines) open() error {
	if err := MakeDir(l.Dir, 0o750); err != nil {
		return err
	}
	file, err := Open(l.Path(0), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		err = l.endLine(file, info.Size())
	}
	if err == nil && l.Sync != nil {
		err = SyncDir(l.Dir)
	}
	if err == nil {
		info, err = file.Stat()
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.size = file, info.Size()
	return nil
}

// endLine ends an incomplete line, which a crash left.
func (l *Lines) endLine(file *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	read, err := Open(l.Path(0), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	var last [1]byte
	_, err = read.ReadAt(last[:], size-1)
	err = errors.Join(err, read.Close())
	if err == nil && last[0] != '\n' {
		_, err = file.Write([]byte{'\n'})
	}
	return err
}

// Close closes the file. The next Write opens it again.
func (l *Lines) Close() {
	if l.file != nil {
		_ = l.file.Close() // each line was written and synced
		l.file = nil
	}
}
