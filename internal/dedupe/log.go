package dedupe

import (
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// log writes packets down, a file for each generation (see files.go). They gather for
// a moment and are written together; nobody waits for it, and it is not synced. What
// cannot be written is kept, for the two generations that count, and tried again; what
// has no room is forgotten at the next start, which costs no more than a duplicate.
type log struct {
	dir             string
	key             secret // of the hashes
	header          record // of each file
	logger          *slog.Logger
	maxSectionBytes int           // bytes of records: of a file what is read, of what waits for it what is kept
	wake            chan struct{} // holds one value when something waits
	closing         chan struct{}
	done            chan struct{}

	mu      sync.Mutex // guards waiting
	pending []section  // one at least, oldest first

	// Below belongs to the writer.
	file    *os.File  // nil: none is open
	born    time.Time // whose file it is
	failing bool      // the last write failed
}

// section is what goes into one generation's file.
type section struct {
	born    time.Time
	records []byte
}

// folderMode is that of the folder.
const dirMode = 0o750

const (
	writeDelay = 10 * time.Millisecond
	retryDelay = time.Second // when a write failed
)

func openLog(config Config, logger *slog.Logger) (*log, error) {
	if err := datafile.MakeDir(config.Dir, dirMode); err != nil {
		return nil, err
	}
	return &log{
		dir: config.Dir, logger: logger,
		// Requests under way when a generation is full are still added to it,
		// and each packet may be forgotten.
		maxSectionBytes: 4 * config.Packets * recordSize,
		wake:            make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}, nil
}

// begin starts the writer, with a generation that may have a file.
func (l *log) start(born time.Time) {
	l.pending = []section{{born: born}}
	go l.run()
}

func (l *log) append(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := &l.pending[len(l.pending)-1]
	if len(last.records) >= l.maxSectionBytes {
		return
	}
	first := len(last.records) == 0
	last.records = append(last.records, r[:]...)
	if first {
		l.wakeWriter()
	}
}

// forget takes a record back that was added.
func (l *log) forget(r record) { l.append(r.tombstone()) }

func (l *log) wakeWriter() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// rotate begins another generation.
func (l *log) rotate(born time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Files are in the order of their names, also when the clock is set back.
	if last := l.pending[len(l.pending)-1].born.Round(0); born.Round(0).Before(last) {
		born = last.Add(time.Millisecond)
	}
	l.pending = append(l.pending, section{born: born})
	// What is older would go into files that are removed.
	l.pending = slices.Delete(l.pending, 0, max(0, len(l.pending)-maxGenerations))
	l.wakeWriter()
}

func (l *log) run() {
	defer close(l.done)
	l.writePending() // opens the file
	for l.await() {
		l.writePending()
	}
	l.writePending()
}

// await returns when something waits and has gathered, or may be tried again, and
// false when the log is to be closed.
func (l *log) await() bool {
	pause := retryDelay
	if !l.failing {
		pause = writeDelay
		select {
		case <-l.wake:
		case <-l.closing:
			return false
		}
	}
	select {
	case <-time.After(pause):
		return true
	case <-l.closing:
		return false
	}
}

// putAll writes what waits, up to the first failure.
func (l *log) writePending() {
	if l.hasVanished() {
		_ = l.file.Close()
		l.file = nil
	}
	sections := l.takePending()
	for len(sections) > 0 {
		if err := l.writeSection(&sections[0]); err != nil {
			l.requeue(sections)
			l.logTransition(err)
			return
		}
		sections = sections[1:]
	}
	l.logTransition(nil)
}

// note logs each edge between writes that succeed and those that fail.
func (l *log) logTransition(err error) {
	switch failed := err != nil; {
	case failed && !l.failing:
		l.logger.Warn("the duplicate window cannot be written down: packets accepted since then, and sent again after a restart, may be delivered twice", "error", err)
	case !failed && l.failing:
		l.logger.Info("the duplicate window can be written down again")
	}
	l.failing = err != nil
}

// take leaves an empty section, so that there always is one to add to.
func (l *log) takePending() []section {
	l.mu.Lock()
	defer l.mu.Unlock()
	sections := l.pending
	l.pending = []section{{born: sections[len(sections)-1].born}}
	return sections
}

// giveBack takes in what could not be written. What came meanwhile begins with the
// generation that it ends with.
func (l *log) requeue(unsaved []section) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := &unsaved[len(unsaved)-1]
	last.records = append(last.records, l.pending[0].records...)
	l.pending = append(unsaved, l.pending[1:]...)
}

// put writes a section and leaves in it what could not be written.
func (l *log) writeSection(s *section) error {
	if l.file == nil || !s.born.Equal(l.born) {
		if err := l.open(s.born); err != nil {
			return err
		}
	}
	n, err := l.file.Write(s.records)
	if err != nil {
		s.records = s.records[n-n%recordSize:]
		_ = l.file.Close()
		l.file = nil // to be opened again, which cuts off the rest of a record
	}
	return err
}

func (l *log) close() {
	close(l.closing)
	<-l.done
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			l.logTransition(err)
		}
	}
}
