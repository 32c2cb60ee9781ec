package deadletter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/packet"
)

type fixture struct {
	*testing.T
	store   *Store
	metrics *Metrics
	log     *bytes.Buffer
}

func open(t *testing.T, config Config) *fixture {
	t.Helper()
	metrics, err := NewMetrics(prometheus.NewRegistry(), []string{"malformed", "other"})
	if err != nil {
		t.Fatal(err)
	}
	metrics.Add("a")
	metrics.Add("b")
	f := &fixture{t, nil, metrics, new(bytes.Buffer)}
	f.store = New(config, slog.New(slog.NewTextHandler(f.log, nil)), metrics)
	t.Cleanup(f.store.Close)
	return f
}

var pool packet.Pool

func aPacket(t *testing.T, body string) *packet.Packet {
	t.Helper()
	info, err := packet.Check([]byte(body), 100)
	if err != nil {
		t.Fatal(err)
	}
	return pool.New([]byte(body), info)
}

func bodyOf(id string) string {
	return fmt.Sprintf(`{"emitter_id":"e","packet_id":%q,"messages":[{"timestamp":1,"level":"INFO","message":"\u000a \\n é"}]}`, id)
}

func (f *fixture) entry(body string) Entry {
	return Entry{aPacket(f.T, body), "a", "malformed", "the \"detail\"\n"}
}

// add adds entries and returns the number of those to retry.
func (f *fixture) add(bodies ...string) (retries int) {
	var entries []Entry
	for _, body := range bodies {
		entries = append(entries, f.entry(body))
	}
	stored := f.store.Add(entries)
	if len(stored) != len(entries) {
		f.Fatalf("%d results for %d entries", len(stored), len(entries))
	}
	retry := 0
	for _, ok := range stored {
		if !ok {
			retry++
		}
	}
	return retry
}

// write writes an entry without a sync.
func (f *fixture) write(body string) *batch {
	f.Helper()
	b, err := f.store.write(f.entry(body))
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func (f *fixture) files() []string {
	f.Helper()
	files, err := Files(f.store.config.Dir)
	if err != nil {
		f.Fatal(err)
	}
	return files
}

// packets returns the packets of all files.
func (f *fixture) packets() []string {
	f.Helper()
	var packets []string
	for _, name := range f.files() {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			var l struct {
				header
				Packet json.RawMessage
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil || !strings.HasSuffix(line, "}\n") {
				f.Fatalf("%q: %v", line, err)
			}
			if l.Analyzer != "a" || l.Reason != "malformed" || l.Detail != "the \"detail\"\n" || time.Since(l.Time).Abs() > time.Hour {
				f.Errorf("header %+v", l.header)
			}
			packets = append(packets, string(l.Packet))
		}
	}
	return packets
}

func (f *fixture) wantPackets(want ...string) {
	f.Helper()
	if got := f.packets(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		f.Errorf("stored\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLinesContainUnchangedPackets(t *testing.T) {
	f := open(t, DefaultConfig(filepath.Join(t.TempDir(), "does", "not exist")))
	f.add(bodyOf("1"))
	f.add(" \r\n" + strings.ReplaceAll(bodyOf("2"), ",", ",\r\n\t") + "\n")
	f.wantPackets(bodyOf("1"), strings.ReplaceAll(bodyOf("2"), ",", ",  \t"))
	for _, body := range f.packets() {
		if _, err := packet.Check([]byte(body), 100); err != nil {
			t.Errorf("%s is not a valid packet: %v", body, err)
		}
	}
}

func TestCounted(t *testing.T) {
	f := open(t, DefaultConfig(t.TempDir()))
	f.add(bodyOf("1"))
	two := aPacket(t, strings.Replace(bodyOf("2"), "]", `,{"timestamp":1,"level":"INFO","message":"m"}]`, 1))
	f.store.Add([]Entry{{two, "b", "other", ""}})
	for c, want := range map[cause][2]float64{{"a", "malformed"}: {1, 1}, {"b", "other"}: {1, 2}, {"a", "other"}: {0, 0}} {
		packets, messages := testutil.ToFloat64(f.metrics.packets.WithLabelValues(c.analyzer, c.reason)), testutil.ToFloat64(f.metrics.messages.WithLabelValues(c.analyzer, c.reason))
		if packets != want[0] || messages != want[1] {
			t.Errorf("%v: %v packets, %v messages, want %v", c, packets, messages, want)
		}
	}
}

func TestFilesAreLimited(t *testing.T) {
	f := open(t, Config{Dir: t.TempDir() + "/[odd]*", FileBytes: 500, Files: 3})
	var bodies []string
	for i := range 20 {
		bodies = append(bodies, bodyOf(fmt.Sprint(i)))
		f.add(bodies[i])
	}
	perFile := 500 / (len(f.packetsLine(0)) + 1)
	if files := f.files(); len(files) != 3 {
		t.Fatalf("%d files", len(files))
	}
	var total int64
	for _, name := range f.files() {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 3*500 {
		t.Errorf("%d bytes are stored", total)
	}
	stored := f.packets()
	f.wantPackets(bodies[20-len(stored):]...) // the newest, in order
	removed := (20 - len(stored)) / perFile
	if got := f.metrics.filesRemoved.Load(); got != int64(removed) {
		t.Errorf("%v files counted as removed, want %d", got, removed)
	}
	if got := strings.Count(f.log.String(), "oldest dead letters were removed"); got != removed {
		t.Errorf("%d removals logged, want %d", got, removed)
	}
}

func (f *fixture) packetsLine(i int) string {
	content, err := os.ReadFile(f.files()[0])
	if err != nil {
		f.Fatal(err)
	}
	return strings.Split(string(content), "\n")[i]
}

func TestEntryLargerThanAFile(t *testing.T) {
	f := open(t, Config{Dir: t.TempDir(), FileBytes: 10, Files: 3})
	f.add(bodyOf("1"))
	f.add(bodyOf("2"))
	f.wantPackets(bodyOf("1"), bodyOf("2"))
	if len(f.files()) != 2 {
		t.Errorf("files %v", f.files())
	}
}

// Restarts must not count against the limit on files.
func TestRestartAppendsToTheNewestFile(t *testing.T) {
	config := Config{Dir: t.TempDir(), FileBytes: 1 << 20, Files: 2}
	var bodies []string
	for i := range 5 {
		f := open(t, config)
		bodies = append(bodies, bodyOf(fmt.Sprint(i)))
		f.add(bodies[i])
		f.store.Close()
		f.wantPackets(bodies...)
		if len(f.files()) != 1 {
			t.Fatalf("files %v", f.files())
		}
	}
}

// A partial line after a crash must not join the next one.
func TestPartialFileIsNotAppendedTo(t *testing.T) {
	config := DefaultConfig(t.TempDir())
	const partial = `{"time":"20`
	if err := os.WriteFile(filepath.Join(config.Dir, "dead-letter-2000.ndjson"), []byte(partial), 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, config)
	f.add(bodyOf("1"))
	if files := f.files(); len(files) != 2 {
		t.Fatalf("files %v", files)
	}
	if content, err := os.ReadFile(f.files()[0]); err != nil || string(content) != partial {
		t.Errorf("%q, %v", content, err)
	}
}

func TestFailureIsLoggedOnceAndRecovers(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "dir")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, DefaultConfig(blocked))
	for range 3 {
		if f.add(bodyOf("lost")) != 0 {
			t.Error("an entry is to be retried, although the store is not durable")
		}
	}
	f.wantLogged(1, 0)
	if got := testutil.ToFloat64(f.metrics.packets.WithLabelValues("a", "malformed")); got != 3 {
		t.Errorf("%v dead letters counted", got)
	}
	if got := f.metrics.writeErrors.Load(); got != 3 {
		t.Errorf("%v write errors counted", got)
	}
	if !strings.Contains(f.log.String(), "packet_id=lost") {
		t.Errorf("the log does not name the packet: %s", f.log)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	f.add(bodyOf("1"))
	f.add(bodyOf("2"))
	f.wantPackets(bodyOf("1"), bodyOf("2"))
	f.wantLogged(1, 1)
}

func (f *fixture) wantLogged(failures, recoveries int) {
	f.Helper()
	if got := strings.Count(f.log.String(), "cannot be written"); got != failures {
		f.Errorf("%d failures logged: %s", got, f.log)
	}
	if got := strings.Count(f.log.String(), "can be written again"); got != recoveries {
		f.Errorf("%d recoveries logged: %s", got, f.log)
	}
}

// A failed write must not remove stored entries.
func TestFailedWritesRemoveNothing(t *testing.T) {
	f := open(t, Config{Dir: t.TempDir(), FileBytes: 1 << 20, Files: 2})
	f.add(bodyOf("1"))
	for range 5 {
		f.breakFile()
		f.add(bodyOf("lost"))
	}
	f.add(bodyOf("2"))
	f.wantPackets(bodyOf("1"), bodyOf("2"))
	if got := f.metrics.writeErrors.Load(); got != 5 {
		t.Errorf("%v write errors", got)
	}
}

// breakFile makes the next write fail.
func (f *fixture) breakFile() {
	f.Helper()
	f.store.Close()
	unwritable, err := os.Open(f.files()[0])
	if err != nil {
		f.Fatal(err)
	}
	size, err := unwritable.Seek(0, io.SeekEnd)
	if err != nil {
		f.Fatal(err)
	}
	f.store.file = &file{File: unwritable, size: size}
}

func TestConcurrentAdd(t *testing.T) {
	f := open(t, DefaultConfig(t.TempDir()))
	var all sync.WaitGroup
	for i := range 50 {
		e := f.entry(bodyOf(fmt.Sprint(i)))
		all.Go(func() { f.store.Add([]Entry{e}) })
	}
	all.Wait()
	if got := len(f.packets()); got != 50 {
		t.Errorf("%d entries", got)
	}
}

// Export writes the complete lines of all files, oldest first.
func TestExport(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"dead-letter-1.ndjson": "one\ntwo\npartial", "dead-letter-2.ndjson": "three\n", "dead-letter-3.ndjson": "", "other.ndjson": "not this\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if err := Export(dir, &out); err != nil || out.String() != "one\ntwo\nthree\n" {
		t.Errorf("exported %q: %v", out.String(), err)
	}
	if err := Export(filepath.Join(dir, "missing"), &out); err != nil {
		t.Errorf("a directory that does not exist: %v", err)
	}
}

// Operators may remove or rename any file: the store opens another for the next
// entry.
func TestRemovedFileIsNotWrittenTo(t *testing.T) {
	for _, durable := range []bool{false, true} {
		f := open(t, Config{Dir: t.TempDir(), FileBytes: 1 << 20, Files: 2, Durable: durable})
		f.add(bodyOf("0"))
		for _, name := range f.files() {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		f.add(bodyOf("1"), bodyOf("2"))
		f.wantPackets(bodyOf("1"), bodyOf("2"))
	}
}

// After the clock was set back the oldest files are removed first, too.
func TestFilesAfterTheClockWasSetBack(t *testing.T) {
	dir := t.TempDir()
	first := filepath.Join(dir, "dead-letter-29990101T000000.000000000.ndjson")
	if err := os.WriteFile(first, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, Config{Dir: dir, FileBytes: 1, Files: 2, LineBytes: 1 << 20})
	bodies := []string{bodyOf("1"), bodyOf("2"), bodyOf("3")}
	f.add(bodies...)
	f.wantPackets(bodies[1:]...)
}
