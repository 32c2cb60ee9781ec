package dedupe

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"
)

// log writes keys down, a file for each generation (see files.go). Keys gather for
// a moment and are written together; nobody waits for it, and it is not synced.
type log struct {
	dir     string
	logger  *slog.Logger
	room    int           // bytes of keys that are read of a file
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
	gathering = 10 * time.Millisecond
)

func openLog(config Config, logger *slog.Logger) (*log, error) {
	if err := os.MkdirAll(config.Dir, 0o750); err != nil {
		return nil, err
	}
	return &log{
		dir: config.Dir, logger: logger,
		// Requests under way when a generation is full are still added to it,
		// and each key may be forgotten.
		room: 4 * config.Packets * keySize,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}, nil
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
