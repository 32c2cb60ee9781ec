package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

const (
	// keptBytes is the size of each of the files, and keptFiles their number.
	keptBytes = 8 << 20
	keptFiles = 2
	// maxKeptBytes bounds an event in the file; a larger one is kept without its values.
	maxKeptBytes = 64 << 10
)

// file keeps events over restarts, in events.ndjson and events.1.ndjson of a directory. It is not
// synced: an event survives the end of the process, and another file stores the changes of
// operators.
type file struct {
	lines   datafile.Lines
	logger  *slog.Logger
	kept    int64 // id of the latest event in the file
	failing bool
}

func linesIn(dir string) datafile.Lines {
	return datafile.Lines{Dir: dir, Name: "events", Extension: ".ndjson", MaxBytes: keptBytes, Files: keptFiles}
}

// Load reads the events that Keep of an earlier process has written to a directory. It must be
// called before Add. Values are json.RawMessage.
func (l *Log) Load(dir string) error {
	lines := linesIn(dir)
	var errs []error
	for i := keptFiles - 1; i >= 0; i-- {
		text, err := read(lines.Path(i))
		errs = append(errs, err)
		for line := range bytes.Lines(text) {
			if e, ok := parse(line); ok {
				l.restore(e, len(line))
			}
		}
	}
	return errors.Join(errs...)
}

func read(path string) ([]byte, error) {
	opened, err := datafile.Open(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(opened, keptBytes))
	return text, errors.Join(err, opened.Close())
}

// parse returns the event of a line, and no event for an incomplete line, which a crash may leave.
func parse(line []byte) (e Event, ok bool) {
	var values struct{ Old, New, Detail json.RawMessage }
	if json.Unmarshal(line, &e) != nil || json.Unmarshal(line, &values) != nil || e.ID < 1 || e.Kind == "" {
		return Event{}, false
	}
	for into, value := range map[*any]json.RawMessage{&e.Old: values.Old, &e.New: values.New, &e.Detail: values.Detail} {
		*into = nil
		if len(value) > 0 {
			*into = value
		}
	}
	return e, true
}

func (l *Log) restore(e Event, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.ID <= l.lastID {
		return // a file that was copied has the event twice
	}
	l.pushLocked(e, bytes)
	l.loaded = e.ID
}

// Keep writes the events to a file of the directory from now on, beginning with those that were
// added since Load. It logs an error, and writes the events with the next one.
func (l *Log) Keep(dir string, logger *slog.Logger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		l.file = &file{lines: linesIn(dir), logger: logger, kept: l.loaded}
	}
	l.keepLocked()
}

// keepLocked writes the events that the file lacks.
func (l *Log) keepLocked() {
	f := l.file
	if f == nil {
		return
	}
	defer f.lines.Close() // events are rare
	var err error
	for i := l.afterLocked(f.kept); i < l.events.Len() && err == nil; i++ {
		e := l.events.At(i).Event
		if err = f.lines.Write(lineOf(e)); err == nil {
			f.kept = e.ID
		}
	}
	if err != nil && !f.failing {
		f.logger.Error("events cannot be written: a restart forgets them", "error", err)
	} else if err == nil && f.failing {
		f.logger.Info("events can be written again")
	}
	f.failing = err != nil
}

func lineOf(e Event) []byte {
	line, err := json.Marshal(e)
	if err != nil || len(line) > maxKeptBytes {
		e.Old, e.New, e.Detail = nil, nil, nil
		line, _ = json.Marshal(e) // the event has texts and numbers only
	}
	return append(line, '\n')
}
