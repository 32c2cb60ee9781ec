// Package datafile opens the files of a data directory, in which anybody with
// access may have put anything: links, pipes, devices, folders in place of files.
package datafile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// TypeError reports a path that is not what is needed there.
type TypeError struct {
	Path string
	Want string // "a regular file" or "a folder"
	Is   fs.FileMode
}

func (e *TypeError) Error() string {
	return fmt.Sprintf("%s must be %s, and is %s: move it away", e.Path, e.Want, nameOf(e.Is))
}

func nameOf(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "a regular file"
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	default:
		return "a device"
	}
}

// Open opens a regular file like os.OpenFile. It follows no link in place of the
// file and does not wait for the other end of a pipe. The error is a *TypeError when
// there is anything else than a regular file.
func Open(path string, flag int, perm fs.FileMode) (*os.File, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &TypeError{Path: path, Want: "a regular file", Is: info.Mode()}
	}
	f, err := os.OpenFile(path, flag|safeFlags, perm)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil && !opened.Mode().IsRegular() {
		err = &TypeError{Path: path, Want: "a regular file", Is: opened.Mode()}
	}
	if err == nil && !refusesLinks && !IsAt(opened, path) {
		err = fmt.Errorf("%s was replaced while it was opened", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// IsAt reports whether a file, by its FileInfo, is what stands at a path. A link to
// the file is not the file.
func IsAt(file fs.FileInfo, path string) bool {
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(file, there)
}

// MakeDir makes a folder and those above it. The folder itself must not be a link;
// those above it may be.
func MakeDir(path string, perm fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), perm); err != nil {
		return err
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return CheckDir(path)
}

// CheckDir returns nil for a folder, a *TypeError for anything else, and the error
// for a path that cannot be looked at.
func CheckDir(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &TypeError{Path: path, Want: "a folder", Is: info.Mode()}
	}
	return nil
}

// CheckWritable returns why files cannot be made in a folder, or in the nearest one
// above it if it does not exist. It makes nothing.
func CheckWritable(path string) error {
	info, err := os.Stat(path)
	switch parent := filepath.Dir(path); {
	case errors.Is(err, fs.ErrNotExist) && parent != path:
		return CheckWritable(parent)
	case err != nil:
		return err
	case !info.IsDir():
		return &TypeError{Path: path, Want: "a folder", Is: info.Mode()}
	}
	if err := access(path); err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return nil
}
