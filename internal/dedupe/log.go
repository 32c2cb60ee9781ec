package dedupe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// log writes keys down, a file for each generation, named for when it was
// begun (Unix milliseconds). A file is nothing but keys; one with the forgotten
// bit takes the same key without it back. A file that is cut ends with its last
// whole key. Keys gather for a moment and are written together;
// nobody waits for it, and it is not synced.
type log struct {
	dir     string
	wake    chan struct{} // holds one value when something waits
	closing chan struct{}
	done    chan struct{}

	mu      sync.Mutex // guards all below
	waiting []section
	failed  error

	file *os.File // the writer's, as born is
	born time.Time
}

// section is what goes into one generation's file.
type section struct {
	born time.Time
	keys []byte
}

const (
	keySize   = len(Key{})
	extension = ".ids"
	gathering = 10 * time.Millisecond
)

func openLog(dir string) (*log, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	return &log{dir: dir, wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}, nil
}

// read returns the two youngest generations, older first, that were begun
// after that moment, and removes the others.
func (l *log) read(after time.Time, most int) ([]generation, error) {
	files, err := l.files()
	if err != nil {
		return nil, err
	}
	var found []generation
	for i, born := range files {
		if i < len(files)-2 || born.Before(after) {
			if err := os.Remove(l.path(born)); err != nil {
				return nil, err
			}
			continue
		}
		g := newGeneration(born)
		found = append(found, g)
		if err := l.load(g, most, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (l *log) files() ([]time.Time, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var files []time.Time
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), extension)
		if at, err := strconv.ParseInt(stem, 10, 64); ok && err == nil {
			files = append(files, time.UnixMilli(at))
		}
	}
	slices.SortFunc(files, time.Time.Compare)
	return files, nil
}

func (l *log) path(born time.Time) string {
	return filepath.Join(l.dir, strconv.FormatInt(born.UnixMilli(), 10)+extension)
}

// load reads a generation's file. All are those read so far, that one included.
func (l *log) load(g generation, most int, all []generation) error {
	file, err := os.Open(l.path(g.born))
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is only read
	// Requests under way when a generation is full are still added to it,
	// and each key may be forgotten.
	content, err := io.ReadAll(io.LimitReader(file, 4*int64(most)*int64(keySize)))
	if err != nil {
		return err
	}
	for ; len(content) >= keySize; content = content[keySize:] {
		key := Key(content[:keySize])
		if key[0]&forgottenBit != 0 {
			key[0] &^= forgottenBit
			forget(key, all...)
			continue
		}
		g.keys[key] = struct{}{}
	}
	return nil
}

// begin starts the writer, with a generation that may have a file.
func (l *log) begin(born time.Time) error {
	if err := l.open(born); err != nil {
		return err
	}
	l.waiting = []section{{born: born}}
	go l.write()
	return nil
}

func (l *log) open(born time.Time) error {
	file, err := openWhole(l.path(born))
	if err != nil {
		return fmt.Errorf("the duplicate window cannot be written down: %w", err)
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file, l.born = file, born
	return l.removeOldest()
}

// openWhole opens a file to be appended to, without a key that was cut off.
func openWhole(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size()%int64(keySize) != 0 {
		err = file.Truncate(info.Size() - info.Size()%int64(keySize))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// removeOldest keeps the two generations in use.
func (l *log) removeOldest() error {
	files, err := l.files()
	for ; err == nil && len(files) > 2; files = files[1:] {
		err = os.Remove(l.path(files[0]))
	}
	return err
}

func (l *log) add(key Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := &l.waiting[len(l.waiting)-1]
	first := len(last.keys) == 0
	last.keys = append(last.keys, key[:]...)
	if first {
		l.awaken()
	}
}

// forget takes a key back that was added.
func (l *log) forget(key Key) {
	key[0] |= forgottenBit
	l.add(key)
}

func (l *log) awaken() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// turn begins another generation.
func (l *log) turn(born time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Files are in the order of their names, also when the clock is set back.
	if last := l.waiting[len(l.waiting)-1].born.Round(0); born.Round(0).Before(last) {
		born = last.Add(time.Millisecond)
	}
	l.waiting = append(l.waiting, section{born: born})
	l.awaken()
}

func (l *log) write() {
	defer close(l.done)
	for l.await() {
		l.putAll()
	}
	l.putAll()
}

// await returns when something waits and has gathered, and false when the log
// is to be closed.
func (l *log) await() bool {
	select {
	case <-l.wake:
	case <-l.closing:
		return false
	}
	select {
	case <-time.After(gathering):
		return true
	case <-l.closing:
		return false
	}
}

func (l *log) putAll() {
	for _, s := range l.take() {
		if err := l.put(s); err != nil {
			l.fail(err)
		}
	}
}

// take leaves an empty section, so that there always is one to add to.
func (l *log) take() []section {
	l.mu.Lock()
	defer l.mu.Unlock()
	sections := l.waiting
	l.waiting = []section{{born: sections[len(sections)-1].born}}
	return sections
}

func (l *log) put(s section) error {
	if !s.born.Equal(l.born) {
		if err := l.open(s.born); err != nil {
			return err
		}
	}
	_, err := l.file.Write(s.keys)
	if err != nil {
		l.born = time.Time{} // opens it again, which mends its end
	}
	return err
}

// fail remembers the first error; what could not be written is forgotten at
// the next start, which costs no more than a duplicate.
func (l *log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = err
	}
}

func (l *log) close() error {
	close(l.closing)
	<-l.done
	return errors.Join(l.failed, l.file.Close())
}
