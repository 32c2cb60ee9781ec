package dedupe

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/datafile"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// log writes fingerprints to a file for each generation (see files.go), asynchronously in
// batches and without a sync. After a write error it keeps the records of both
// generations and retries. Records above maxSectionBytes of a generation, or above that of
// maxGenerations in all, are dropped and counted, which causes only duplicates after the next start.
type log struct {
	dir             string
	key             secret // of the hashes
	header          record // of each file
	logger          *slog.Logger
	maxSectionBytes int            // maximum of record bytes read from a file or pending for it
	writer          *worker.Worker // woken when records are pending

	dropped atomic.Int64 // records

	mu            sync.Mutex // guards the next two
	pending       []section  // oldest first, never empty, at most maxGenerations
	bufferedBytes int        // record bytes that are pending or being written

	// The following fields belong to the writer goroutine.
	file      *os.File  // nil: none is open
	startedAt time.Time // start of the file's generation
	failing   bool      // the last write failed
}

// section has the pending records of one generation's file.
type section struct {
	startedAt time.Time
	records   []byte
}

const dirMode = 0o750

const (
	writeDelay = 10 * time.Millisecond
	retryDelay = time.Second // when a write failed
)

func openLog(config Config, logger *slog.Logger) (*log, error) {
	if err := makeDir(config.Dir, logger); err != nil {
		return nil, err
	}
	return &log{
		dir: config.Dir, logger: logger,
		// Requests in flight may exceed a full generation, and each packet may have a
		// tombstone.
		maxSectionBytes: 4 * config.Packets * recordSize,
		writer:          worker.New(),
	}, nil
}

// makeDir creates the directory. What is there and is none is quarantined.
func makeDir(dir string, logger *slog.Logger) error {
	err := datafile.MakeDir(dir, dirMode)
	if err == nil {
		return nil
	}
	renamed, failure := datafile.SetAside(err)
	if failure != nil {
		return failure
	}
	logger.Warn("the path of the duplicate window is no directory and is quarantined: packets accepted before and sent again are delivered twice",
		"file", renamed, "error", err)
	return datafile.MakeDir(dir, dirMode)
}

// start starts the writer with the current generation, which may have a file.
func (l *log) start(startedAt time.Time) {
	l.pending = []section{{startedAt: startedAt}}
	l.writer.Go(l.run)
}

func (l *log) append(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := &l.pending[len(l.pending)-1]
	if len(last.records) >= l.maxSectionBytes || l.bufferedBytes >= maxGenerations*l.maxSectionBytes {
		l.dropped.Add(1)
		return
	}
	first := len(last.records) == 0
	last.records = append(last.records, r[:]...)
	l.bufferedBytes += recordSize
	if first {
		l.writer.Wake()
	}
}

// forget appends the tombstone of a record.
func (l *log) forget(r record) { l.append(r.tombstone()) }

// rotate begins the next generation.
func (l *log) rotate(startedAt time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// File names are ordered even if the clock was set back.
	if last := l.pending[len(l.pending)-1].startedAt.Round(0); startedAt.Round(0).Before(last) {
		startedAt = last.Add(time.Millisecond)
	}
	l.pending = append(l.pending, section{startedAt: startedAt})
	l.trimLocked()
	l.writer.Wake()
}

// trimLocked removes the records of older generations, whose files are removed as well.
func (l *log) trimLocked() {
	for len(l.pending) > maxGenerations {
		l.bufferedBytes -= len(l.pending[0].records)
		l.pending = slices.Delete(l.pending, 0, 1)
	}
}

func (l *log) run(ctx context.Context) {
	l.writePending() // opens the file
	for l.await(ctx) {
		l.writePending()
	}
	l.writePending()
}

// await waits for pending records and writeDelay, or for a retry. It returns false when the
// log is closing.
func (l *log) await(ctx context.Context) bool {
	pause := retryDelay
	if !l.failing {
		pause = writeDelay
		select {
		case <-l.writer.Woken():
		case <-ctx.Done():
			return false
		}
	}
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// writePending writes the pending sections up to the first error.
func (l *log) writePending() {
	if l.isRemoved() {
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

// logTransition logs the first error and the first success after errors.
func (l *log) logTransition(err error) {
	switch failed := err != nil; {
	case failed && !l.failing:
		l.logger.Warn("the duplicate window cannot be written: packets accepted from now on and sent again after a restart may be delivered twice", "error", err)
	case !failed && l.failing:
		l.logger.Info("the duplicate window is writable again")
	}
	l.failing = err != nil
}

// takePending returns the pending sections and leaves an empty one.
func (l *log) takePending() []section {
	l.mu.Lock()
	defer l.mu.Unlock()
	sections := l.pending
	l.pending = []section{{startedAt: sections[len(sections)-1].startedAt}}
	return sections
}

// requeue puts sections that were not written before the pending ones; the last of them and the
// first pending one have the same generation.
func (l *log) requeue(unsaved []section) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := &unsaved[len(unsaved)-1]
	last.records = append(last.records, l.pending[0].records...)
	l.pending = append(unsaved, l.pending[1:]...)
	l.trimLocked()
}

// writeSection writes a section, which then has the records that were not written.
func (l *log) writeSection(s *section) error {
	if l.file == nil || !s.startedAt.Equal(l.startedAt) {
		if err := l.open(s.startedAt); err != nil {
			return err
		}
	}
	n, err := l.file.Write(s.records)
	n -= n % recordSize
	s.records = s.records[n:]
	l.mu.Lock()
	l.bufferedBytes -= n
	l.mu.Unlock()
	if err != nil {
		_ = l.file.Close()
		l.file = nil // openForAppend truncates the incomplete record
	}
	return err
}

func (l *log) close() {
	l.writer.Stop()
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			l.logTransition(err)
		}
	}
}
