package dedupe

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// A generation's file has the name of its start (Unix milliseconds), a header and records.
// A tombstone removes the record with the same hashes. An incomplete last record is
// ignored.
const (
	extension           = ".ids"
	unreadableExtension = ".unreadable"
	maxGenerations      = 2
)

// read returns the newest generations that were begun after a time, oldest first, and
// removes the others. It quarantines files that cannot be read or removed.
func (l *log) read(now, after time.Time) ([]*generation, error) {
	files, err := l.files()
	if err != nil {
		return nil, err
	}
	for len(files) > 0 && (len(files) > maxGenerations || files[0].Before(after)) {
		if err := os.Remove(l.path(files[0])); err != nil {
			l.quarantine(files[0], err)
		}
		files = files[1:]
	}
	var found []*generation
	for i, startedAt := range clampStartTimes(files, now) {
		g := newGeneration(startedAt)
		if err := l.load(files[i], g, append(found, g)); err != nil {
			l.quarantine(files[i], err)
			continue
		}
		found = append(found, g)
	}
	return found, nil
}

// clampStartTimes returns the start times of the files' generations, ordered and not after now:
// files of a clock that was ahead count as begun now.
func clampStartTimes(files []time.Time, now time.Time) []time.Time {
	times := make([]time.Time, len(files))
	latest := now
	for i, named := range slices.Backward(files) {
		times[i] = now.Add(min(named.Sub(now), latest.Sub(now)))
		latest = times[i].Add(-time.Millisecond)
	}
	return times
}

func (l *log) files() ([]time.Time, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var files []time.Time
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), extension)
		if at, err := strconv.ParseInt(stem, 10, 64); ok && err == nil && l.path(time.UnixMilli(at)) == filepath.Join(l.dir, e.Name()) {
			files = append(files, time.UnixMilli(at))
		}
	}
	slices.SortFunc(files, time.Time.Compare)
	return files, nil
}

func (l *log) path(startedAt time.Time) string {
	return filepath.Join(l.dir, strconv.FormatInt(startedAt.UnixMilli(), 10)+extension)
}

// load reads a file into a generation, and renames the file if clampStartTimes changed its start.
// Tombstones apply to all generations read so far, g included.
func (l *log) load(named time.Time, g *generation, all []*generation) error {
	file, err := datafile.Open(l.path(named), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is only read
	content, err := io.ReadAll(io.LimitReader(file, int64(recordSize+l.maxSectionBytes)))
	if err != nil {
		return err
	}
	if content, err = l.header.records(content); err != nil {
		return err
	}
	for ; len(content) >= recordSize; content = content[recordSize:] {
		if f, forgotten := record(content[:recordSize]).fingerprint(); forgotten {
			forget(f, all...)
		} else {
			g.add(f)
		}
	}
	if l.path(g.startedAt) == l.path(named) {
		return nil
	}
	return os.Rename(l.path(named), l.path(g.startedAt))
}

// quarantine renames a file so that it is not read again.
func (l *log) quarantine(named time.Time, reason error) {
	path := l.path(named)
	err := os.Rename(path, path+unreadableExtension)
	l.logger.Warn("a file of the duplicate window cannot be used and is quarantined: packets in it that are sent again are delivered twice",
		"file", path, "error", errors.Join(reason, err))
}

// open opens a generation's file for the writer.
func (l *log) open(startedAt time.Time) error {
	if err := l.restoreDir(); err != nil {
		return err
	}
	file, err := openForAppend(l.path(startedAt), l.header)
	if err != nil {
		return err
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file, l.startedAt = file, startedAt
	return l.removeOldest()
}

// restoreDir recreates the directory and the key if they were removed.
func (l *log) restoreDir() error {
	if err := datafile.MakeDir(l.dir, dirMode); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(l.dir, keyName)); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return writeSecret(l.dir, l.key)
}

// isRemoved reports whether the open file is no longer at its path.
func (l *log) isRemoved() bool {
	if l.file == nil {
		return false
	}
	opened, err := l.file.Stat()
	return err != nil || !datafile.IsAt(opened, l.file.Name())
}

// openForAppend opens a file, truncates an incomplete record and writes a missing header.
func openForAppend(path string, header record) (*os.File, error) {
	file, err := datafile.Open(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size()%int64(recordSize) != 0 {
		err = file.Truncate(info.Size() - info.Size()%int64(recordSize))
	}
	if err == nil && info.Size() < int64(recordSize) {
		_, err = file.Write(header[:])
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// removeOldest removes the files of all but the newest generations.
func (l *log) removeOldest() error {
	files, err := l.files()
	for ; err == nil && len(files) > maxGenerations; files = files[1:] {
		err = os.Remove(l.path(files[0]))
	}
	return err
}
