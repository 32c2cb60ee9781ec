package deadletter

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// markState is what was done with a dead letter; a higher one replaces a lower one.
type markState uint8

const (
	unmarked markState = iota
	markReplayed
	markDeleted
)

func (s markState) state() State {
	if s == markReplayed {
		return Replayed
	}
	return Stored
}

var markNames = [...]string{markReplayed: "replayed", markDeleted: "deleted"}

// mark is what was done with the dead letter at an offset of a file. It holds for that
// dead letter only: if the file was edited, the checksum of the line differs.
type mark struct {
	offset uint32 // files have at most maxFileBytes
	sum    uint32
	state  markState
}

func (m mark) compare(n mark) int {
	return cmp.Or(cmp.Compare(m.offset, n.offset), cmp.Compare(m.sum, n.sum), cmp.Compare(m.state, n.state))
}

const (
	marksSuffix = ".marks"
	// minLineBytes is less than the shortest dead letter. It bounds the marks of a file.
	minLineBytes = 64
	// cachedMarks is the number of files whose marks stay in memory; those of a file
	// with dead letters of 200 bytes, all marked, take 4 MiB.
	cachedMarks = 4
)

// marks stores marks next to each file of dead letters, in an append-only file of lines:
//
//	4096 replayed 1a2b3c4d
//
// the offset, what was done, and the checksum in hexadecimal digits. A line that cannot
// be read, such as one torn by a crash, is ignored. marks may be used concurrently.
type marks struct {
	dir string
	// sync makes a file and its directory entry survive a crash; nil if marks need not.
	sync func(*os.File) error

	mu     sync.Mutex // guards cached and the files
	cached []fileMarks
}

// fileMarks are the marks of one file, sorted, the last one for an offset and a sum last.
// The slice is never changed.
type fileMarks struct {
	file  string
	marks []mark
}

func marksPath(dir, file string) string {
	return filepath.Join(dir, strings.TrimSuffix(file, fileSuffix)+marksSuffix)
}

// of returns the marks of a file.
func (m *marks) of(file string) ([]mark, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ofLocked(file)
}

func (m *marks) ofLocked(file string) ([]mark, error) {
	at := slices.IndexFunc(m.cached, func(f fileMarks) bool { return f.file == file })
	if at >= 0 {
		found := m.cached[at]
		m.cached = slices.Insert(slices.Delete(m.cached, at, at+1), 0, found) // least recently used last
		return found.marks, nil
	}
	read, err := m.read(file)
	if err != nil {
		return nil, err
	}
	m.cacheLocked(fileMarks{file, read})
	return read, nil
}

func (m *marks) cacheLocked(f fileMarks) {
	m.cached = slices.DeleteFunc(m.cached, func(g fileMarks) bool { return g.file == f.file })
	m.cached = slices.Insert(m.cached, 0, f)
	if len(m.cached) > cachedMarks {
		m.cached[cachedMarks] = fileMarks{}
		m.cached = m.cached[:cachedMarks]
	}
}

// read reads the marks of a file, at most as many as it can have dead letters, twice.
func (m *marks) read(file string) ([]mark, error) {
	info, err := os.Lstat(filepath.Join(m.dir, file))
	if err != nil {
		return nil, err
	}
	f, err := datafile.Open(marksPath(m.dir, file), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return readMarks(f, 2*(info.Size()/minLineBytes+1))
}

func readMarks(r io.Reader, limit int64) ([]mark, error) {
	var list []mark
	lines := newLineReader(r, bufio.MaxScanTokenSize, 0)
	for int64(len(list)) < limit {
		text, _, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if one, ok := parseMark(string(text)); ok {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, mark.compare)
	return list, nil
}

func (m mark) String() string { return fmt.Sprintf("%d %s %08x", m.offset, markNames[m.state], m.sum) }

func parseMark(text string) (m mark, ok bool) {
	fields := strings.Split(text, " ")
	if len(fields) != 3 || len(fields[2]) != 8 {
		return m, false
	}
	offset, err1 := strconv.ParseUint(fields[0], 10, 32)
	sum, err2 := strconv.ParseUint(fields[2], 16, 32)
	state := slices.Index(markNames[:], fields[1])
	if err1 != nil || err2 != nil || state <= int(unmarked) {
		return m, false
	}
	return mark{uint32(offset), uint32(sum), markState(state)}, true
}

// add stores marks of a file, on stable storage if the store is durable. After an error some
// of them may be stored.
func (m *marks) add(file string, added []mark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, err := m.ofLocked(file)
	if err != nil {
		return err
	}
	if err := m.writeLocked(file, added); err != nil {
		return err
	}
	merged := append(slices.Clone(known), added...)
	slices.SortFunc(merged, mark.compare)
	m.cacheLocked(fileMarks{file, slices.Compact(merged)})
	return nil
}

func (m *marks) writeLocked(file string, added []mark) (err error) {
	f, err := datafile.Open(marksPath(m.dir, file), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := separator(f)
	if err != nil {
		return err
	}
	for _, one := range added {
		text = append(append(text, one.String()...), '\n')
	}
	if _, err := f.Write(text); err != nil || m.sync == nil {
		return err
	}
	return m.sync(f)
}

// separator ends a torn last line, so that it stays one that cannot be read.
func separator(f *os.File) ([]byte, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return nil, err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil || last[0] == '\n' {
		return nil, err
	}
	return []byte(" torn\n"), nil
}

// removeOrphans removes the marks of files that were removed.
func (m *marks) removeOrphans() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cached = nil
	entries, _ := os.ReadDir(m.dir) // what cannot be listed stays
	for _, entry := range entries {
		name, isMarks := strings.CutSuffix(entry.Name(), marksSuffix)
		if !isMarks || !strings.HasPrefix(name, filePrefix) || !entry.Type().IsRegular() {
			continue
		}
		if _, err := os.Lstat(filepath.Join(m.dir, name+fileSuffix)); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(filepath.Join(m.dir, entry.Name()))
		}
	}
}
