package events

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Events survive a restart, including those that were added before Keep.
func TestKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	log := New(10)
	if err := log.Load(dir); err != nil {
		t.Fatal(err)
	}
	log.Add(Event{Kind: "early", Old: 1})
	logger := slog.New(slog.DiscardHandler)
	log.Keep(dir, logger)
	log.Keep(dir, logger) // the events of the next distributor
	log.Add(Event{Kind: "late", New: "x", Detail: map[string]int{"held": 7}, Result: "applied"})
	log.Add(Event{Kind: "large", Path: "p", Detail: strings.Repeat("x", maxKeptBytes)})
	want, _ := json.Marshal(log.After(0, 2))
	path := filepath.Join(dir, "events.ndjson")
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "\n") != 3 {
		t.Fatalf("%s, %v", text, err)
	}
	if err := os.WriteFile(path, append(text, "{\"id\":9}\nno line\n{\"id\":"...), 0o600); err != nil {
		t.Fatal(err)
	}
	next := New(10)
	if err := next.Load(dir); err != nil {
		t.Fatal(err)
	}
	if got, _ := json.Marshal(next.After(0, 2)); string(got) != string(want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	if large := next.After(2, 10); len(large) != 1 || large[0].Path != "p" || large[0].Detail != nil {
		t.Errorf("%+v", large)
	}
	next.Keep(dir, logger)
	if id := next.Add(Event{Kind: "next"}); id != 4 {
		t.Errorf("the next id is %d", id)
	}
	again := New(2)
	if err := again.Load(dir); err != nil || again.Last() != 4 || len(again.After(0, 10)) != 2 {
		t.Errorf("%v, %+v", err, again.After(0, 10))
	}
}

// The files are bounded.
func TestKeptFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	log := New(10)
	log.Keep(dir, slog.New(slog.DiscardHandler))
	log.file.lines.MaxBytes = 1000
	for range 100 {
		log.Add(Event{Kind: "k", Reason: strings.Repeat("x", 50)})
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != keptFiles {
		t.Errorf("%v, %v", entries, err)
	}
	next := New(1000)
	if err := next.Load(dir); err != nil || next.Last() != 100 || len(next.After(0, 1000)) < 8 {
		t.Errorf("%v, %+v", err, next.After(0, 1000))
	}
}

// A file that cannot be written is reported once, and the events are written later.
func TestKeepFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	log := New(10)
	log.Keep(dir, slog.New(slog.NewTextHandler(&text, nil)))
	log.Add(Event{Kind: "a"})
	log.Add(Event{Kind: "b"})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	log.Add(Event{Kind: "c"})
	if strings.Count(text.String(), "cannot be written") != 1 || strings.Count(text.String(), "can be written again") != 1 {
		t.Errorf("%s", &text)
	}
	next := New(10)
	if err := next.Load(dir); err != nil || len(next.After(0, 10)) != 3 {
		t.Errorf("%v, %+v", err, next.After(0, 10))
	}
}

// A client that knows an event id of a process whose events were not kept gets all events of this
// process.
func TestIDsBeginAnew(t *testing.T) {
	log := New(10)
	if log.Wait(canceled(t), 500) {
		t.Error("there is an event")
	}
	log.Add(Event{Kind: "a"})
	if !log.Wait(canceled(t), 500) || len(log.After(500, 10)) != 1 {
		t.Error("the event is not reported")
	}
	if log.Wait(canceled(t), 1) {
		t.Error("an event is reported twice")
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// FuzzKept reads lines of any content: an event that is read is written so that it is read as the same
// again.
func FuzzKept(f *testing.F) {
	f.Add([]byte(`{"id":1,"time":"2026-01-02T03:04:05.6+07:00","kind":"change","actor":"bob","path":"settings/rate","old":1e400,"new":{"a":[null]},"detail":"x"}`))
	f.Add([]byte(`{"id":9223372036854775807,"time":"0000-01-01T00:00:00Z","kind":"\ud800","old":null,"Old":2}`))
	f.Add([]byte(`{"id":1,"kind":"k","new":"<&\u2028","reason":"\u0000"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, ok := parse(line)
		if !ok {
			return
		}
		kept := lineOf(e)
		again, ok := parse(kept)
		if !ok || bytes.IndexByte(kept, '\n') != len(kept)-1 || !bytes.Equal(lineOf(again), kept) {
			t.Fatalf("%s is kept as %s, which is read as %+v", line, kept, again)
		}
		if len(kept) > maxKeptBytes+1 && len(line) <= maxKeptBytes {
			t.Fatalf("%d bytes are kept as %d", len(line), len(kept))
		}
	})
}
