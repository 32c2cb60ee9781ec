// Package datafile opens the files of a data directory without following links or blocking
// on pipes that other users may have created in it.
package datafile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// TypeError reports a file of the wrong type.
type TypeError struct {
	Path string
	Want string // "a regular file" or "a directory"
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
		return "a directory"
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

// Open opens a regular file like os.OpenFile. It returns a *TypeError for any other type of
// file, and does not follow a link in the last element of path or block on a pipe.
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

// OpenFollowing opens a regular file for reading. Unlike Open it follows links, for files
// that an operator names. It does not block on a pipe.
func OpenFollowing(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &TypeError{Path: path, Want: "a regular file", Is: info.Mode()}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil && !opened.Mode().IsRegular() {
		err = &TypeError{Path: path, Want: "a regular file", Is: opened.Mode()}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ReadFollowing reads a regular file of at most limit bytes. Unlike Open it follows links,
// for files that an operator names and that other users cannot create: Kubernetes mounts
// secrets as links. It does not block on a pipe.
func ReadFollowing(path string, limit int64) (content []byte, err error) {
	f, err := OpenFollowing(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if content, err = io.ReadAll(io.LimitReader(f, limit+1)); int64(len(content)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return content, err
}

// IsAt reports whether path is the file with that FileInfo. A link to the file is not.
func IsAt(file fs.FileInfo, path string) bool {
	current, err := os.Lstat(path)
	return err == nil && os.SameFile(file, current)
}

// MakeDir creates a directory and its parents. The directory itself must not be a link; its
// parents may be.
func MakeDir(path string, perm fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), perm); err != nil {
		return err
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return CheckDir(path)
}

// maxSetAside limits the files that were set aside from one path.
const maxSetAside = 100

// SetAside renames the file that a *TypeError in err reports, so that one of the right type can
// be created, to its path with the suffix ".unreadable", or ".unreadable-2" and so on if there
// are such files. It returns err if it has no such error.
func SetAside(err error) (renamed string, failure error) {
	var wrong *TypeError
	if !errors.As(err, &wrong) {
		return "", err
	}
	renamed = wrong.Path + ".unreadable"
	for n := 2; exists(renamed); n++ {
		if n > maxSetAside {
			return "", fmt.Errorf("%w; all names up to %s exist", err, renamed)
		}
		renamed = fmt.Sprintf("%s.unreadable-%d", wrong.Path, n)
	}
	if failure := os.Rename(wrong.Path, renamed); failure != nil {
		return "", errors.Join(err, failure)
	}
	// Another process may have replaced the file just now, and may be using the renamed file.
	if info, failure := os.Lstat(renamed); failure != nil || info.Mode().Type() != wrong.Is.Type() {
		return "", errors.Join(err, failure, os.Link(renamed, wrong.Path))
	}
	return renamed, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// CheckDir returns a *TypeError if path is not a directory.
func CheckDir(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &TypeError{Path: path, Want: "a directory", Is: info.Mode()}
	}
	return nil
}

// CheckWritable returns an error if files cannot be created in a directory or, if it does not
// exist, in its nearest existing parent. It creates nothing.
func CheckWritable(path string) error {
	info, err := os.Stat(path)
	switch parent := filepath.Dir(path); {
	case errors.Is(err, fs.ErrNotExist) && parent != path:
		return CheckWritable(parent)
	case err != nil:
		return err
	case !info.IsDir():
		return &TypeError{Path: path, Want: "a directory", Is: info.Mode()}
	}
	if err := access(path); err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return nil
}
