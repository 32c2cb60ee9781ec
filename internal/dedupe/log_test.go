package dedupe

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// brittle is a window in a directory with injected write errors, in a synctest bubble.
type brittle struct {
	*testing.T
	*Window
	text *text
}

func openBrittle(t *testing.T, config Config) *brittle {
	t.Helper()
	config.Dir = t.TempDir() + "/directory"
	w, text := logged(t, config, time.Now())
	b := &brittle{t, w, text}
	b.pass(time.Second)
	return b
}

func (b *brittle) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *brittle) accept(n int) {
	b.Helper()
	accept(b, b.Window, numbered(n), time.Now())
}

// stop makes all writes fail until goOn.
func (b *brittle) stop() {
	b.Helper()
	dir := b.config.Dir
	err := b.log.file.Close()
	b.log.file, _ = os.Open(b.log.path(b.log.startedAt)) // only to be read
	if err := errors.Join(err, os.Rename(dir, dir+" away"), os.WriteFile(dir, nil, 0o600)); err != nil {
		b.Fatal(err)
	}
}

func (b *brittle) goOn() {
	b.Helper()
	dir := b.config.Dir
	if err := errors.Join(os.Remove(dir), os.Rename(dir+" away", dir)); err != nil {
		b.Fatal(err)
	}
}

func (b *brittle) wantLogged(failures, recoveries int) {
	b.Helper()
	if got := strings.Count(b.text.String(), "level=WARN msg=\"the duplicate window cannot be written"); got != failures {
		b.Errorf("%d failures are logged, want %d: %s", got, failures, b.text)
	}
	if got := strings.Count(b.text.String(), "is writable again"); got != recoveries {
		b.Errorf("%d recoveries are logged, want %d: %s", got, recoveries, b.text)
	}
}

// wantKnown restarts and checks whether a packet is known.
func (b *brittle) wantKnown(n int, want bool) {
	b.Helper()
	w := open(b.T, b.config, time.Now())
	defer w.Close()
	if got := knows(w, numbered(n)); got != want {
		b.Errorf("packet %d is known after a restart: %v, want %v", n, got, want)
	}
}

// Failed writes are retried, over several generations. The first of a series of failures
// and its end are logged.
func TestFailedWritesAreRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openBrittle(t, Config{Window: time.Minute, Packets: 1000})
		for round := range 2 {
			first := 10 * round
			b.accept(first)
			b.pass(time.Second)
			b.stop()
			for n := range 4 {
				b.accept(first + 1 + n)
				b.pass(20 * time.Second) // a generation more
			}
			b.forget(numbered(first + 2))
			b.pass(time.Second)
			b.wantLogged(1+round, round)
			b.goOn()
			b.pass(2 * time.Second)
			b.wantLogged(1+round, 1+round)
			for n, want := range []bool{true, true, false, true, true} {
				b.wantKnown(first+n, want)
			}
		}
		b.Close()
		b.wantLogged(2, 2)
	})
}

// Records that arrive during a failed write follow it, in their own generation.
func TestRecordsDuringAFailedWrite(t *testing.T) {
	l, err := openLog(Config{Packets: 100, Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.header = aSecret.header()
	l.pending = []section{{startedAt: start}}
	l.append(written(numbered(1)))
	unsaved := l.takePending()
	l.append(written(numbered(2)))
	l.rotate(start.Add(time.Minute))
	l.append(written(numbered(3)))
	l.requeue(unsaved)
	l.writePending()
	defer l.file.Close() //nolint:errcheck // it is a test's
	for startedAt, want := range map[time.Time][]record{
		start: {l.header, written(numbered(1)), written(numbered(2))}, start.Add(time.Minute): {l.header, written(numbered(3))},
	} {
		if content, err := os.ReadFile(l.path(startedAt)); err != nil || !bytes.Equal(content, slices.Concat(bytesOf(want)...)) {
			t.Errorf("%x: %v", content, err)
		}
	}
}

func bytesOf(records []record) (all [][]byte) {
	for _, r := range records {
		all = append(all, r[:])
	}
	return all
}

// Close does not wait for writeDelay.
func TestCloseWritesPendingRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openBrittle(t, Config{Window: time.Minute, Packets: 1000})
		b.accept(1)
		b.Close()
		b.wantKnown(1, true)
		b.wantLogged(0, 0)
	})
}

// A failed write in Close is logged.
func TestFailedClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openBrittle(t, Config{Window: time.Minute, Packets: 1000})
		b.accept(1)
		b.pass(time.Second)
		b.stop()
		b.accept(2)
		b.Close()
		b.wantLogged(1, 0)
		b.goOn()
		b.wantKnown(1, true)
		b.wantKnown(2, false)
	})
}

// Pending records are bounded in generations and in each of them.
func TestPendingRecordsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openBrittle(t, Config{Window: time.Minute, Packets: 10})
		b.stop()
		n := 0
		for range 10 {
			for range 10 {
				b.accept(n)
				n++
			}
			b.pass(10 * time.Second)
		}
		for range 100 { // they come again and again
			b.forget(numbered(n - 1))
			b.accept(n - 1)
		}
		stored := 0
		b.log.mu.Lock()
		for _, s := range b.log.pending {
			stored += len(s.records) / recordSize
		}
		b.log.mu.Unlock()
		if stored > 2*4*b.config.Packets {
			t.Errorf("%d records are pending, and a generation has 10 packets", stored)
		}
		b.goOn()
		b.pass(2 * time.Second)
		b.Close()
		b.wantKnown(n-2, true)
	})
}

// While a write hangs, the records that it has and those that wait are bounded together, also over
// generations. The others are counted.
func TestRecordsDuringAHangingWriteAreBounded(t *testing.T) {
	l, err := openLog(Config{Packets: 10, Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.pending = []section{{startedAt: start}}
	fill := func() {
		for range maxGenerations {
			l.rotate(l.pending[len(l.pending)-1].startedAt.Add(time.Minute))
			for n := range 100 {
				l.append(written(numbered(n)))
			}
		}
	}
	fill()
	hanging := l.takePending()
	fill()
	if total := bytesIn(hanging) + bytesIn(l.pending); total > maxGenerations*l.maxSectionBytes {
		t.Errorf("%d bytes are held, want at most %d", total, maxGenerations*l.maxSectionBytes)
	}
	if dropped := l.dropped.Load(); dropped != 400-maxGenerations*int64(l.maxSectionBytes/recordSize) {
		t.Errorf("%d records are counted as dropped", dropped)
	}
	l.requeue(hanging)
	if total := bytesIn(l.pending); total > maxGenerations*l.maxSectionBytes || len(l.pending) > maxGenerations {
		t.Errorf("%d bytes of %d generations are pending after the write failed", total, len(l.pending))
	}
	l.writePending()
	if err := l.file.Close(); err != nil || l.bufferedBytes != 0 || len(l.pending) != 1 {
		t.Errorf("%d bytes are not written: %v", l.bufferedBytes, err)
	}
}

func bytesIn(sections []section) (total int) {
	for _, s := range sections {
		total += len(s.records)
	}
	return total
}

// After a partial write the written records are not written again.
func TestPartialWrite(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.WriteString("offset"); err != nil {
		t.Fatal(err)
	}
	var records []byte
	for n := range 1 << 17 { // more than a pipe takes
		r := recordOf(fingerprint{content: uint64(n)})
		records = append(records, r[:]...)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		_, err := io.ReadFull(reader, make([]byte, 1000))
		if err := errors.Join(err, reader.Close()); err != nil {
			t.Error(err)
		}
	})
	l := &log{dir: t.TempDir(), header: aSecret.header(), file: writer, startedAt: start}
	s := section{startedAt: start, records: slices.Clone(records)}
	if err := l.writeSection(&s); err == nil {
		t.Fatal("a pipe took all bytes")
	}
	reading.Wait()
	written := len(records) - len(s.records)
	if written <= 0 || written%recordSize != 0 || !bytes.Equal(s.records, records[written:]) {
		t.Errorf("%d of %d bytes are left", len(s.records), len(records))
	}
	if err := l.writeSection(&s); err != nil {
		t.Fatal(err)
	}
	defer l.file.Close() //nolint:errcheck // it is a test's
	if content, err := os.ReadFile(l.path(start)); err != nil || !bytes.Equal(content, append(bytesOf([]record{l.header})[0], records[written:]...)) {
		t.Errorf("the file has %d bytes: %v", len(content), err)
	}
}
