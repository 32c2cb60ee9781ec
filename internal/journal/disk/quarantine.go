package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
)

// quarantine is the directory of damaged parts of segments, up to quarantineMaxBytes.
// Damage above that is only counted and logged.
type quarantine struct {
	files fileSystem
	dir   string
}

const (
	quarantineMaxBytes  = 256 << 20
	quarantineSuffix    = ".damaged"
	quarantineCopyBytes = 1 << 20
)

// add copies a damaged part of a segment; fresh is false if an earlier start did so.
func (q *quarantine) add(d Damage) (fresh bool, err error) {
	name := strings.TrimSuffix(filepath.Base(d.Segment), segmentSuffix)
	path := filepath.Join(q.dir, fmt.Sprintf("%s-%d%s", name, d.Offset, quarantineSuffix))
	if q.has(path) {
		return false, nil
	}
	if err := q.files.MakeDir(q.dir); err != nil {
		return true, err
	}
	bytes := d.Bytes
	if q.size()+bytes > quarantineMaxBytes {
		bytes, err = 0, fmt.Errorf("%s is full: %d bytes are not copied", q.dir, d.Bytes)
	}
	if copyErr := q.copy(path, d, bytes); copyErr != nil {
		err = copyErr
	}
	return true, err
}

func (q *quarantine) copy(path string, d Damage, bytes int64) error {
	from, err := q.files.Open(d.Segment)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := q.files.Create(path, 0)
	if err != nil {
		return err
	}
	buffer := make([]byte, min(bytes, quarantineCopyBytes))
	for at := int64(0); at < bytes && err == nil; {
		var n int
		n, err = from.ReadAt(buffer[:min(int64(len(buffer)), bytes-at)], d.Offset+at)
		if n > 0 {
			if _, writeErr := to.WriteAt(buffer[:n], at); writeErr != nil {
				err = writeErr
			}
		}
		at += int64(n)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, to.Sync(), to.Close(), q.files.SyncDir(q.dir))
}

// addFile moves a whole file into the quarantine, or, if that fails, renames it in its
// directory so that it is not read again.
func (q *quarantine) addFile(path string) error {
	err := q.files.MakeDir(q.dir)
	if err == nil {
		err = q.files.Rename(path, filepath.Join(q.dir, filepath.Base(path)))
	}
	if err == nil || isNotExist(err) {
		return err
	}
	return q.files.Rename(path, path+quarantineSuffix)
}

func (q *quarantine) has(path string) bool {
	f, err := q.files.Open(path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	f.Close()
	return true
}

func (q *quarantine) size() int64 {
	names, _ := q.files.List(q.dir)
	var total int64
	for _, name := range names {
		f, err := q.files.Open(filepath.Join(q.dir, name))
		if err != nil {
			continue
		}
		size, _ := f.Size()
		total += size
		f.Close()
	}
	return total
}
