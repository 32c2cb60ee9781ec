package emitter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// agent is an emitter's source that is killed and started again. It counts a packet that arrives
// twice with the same id and bytes once, as the distributor's duplicate window does.
type agent struct {
	t       testing.TB
	dir     string
	config  Config
	s       source
	runs    int
	packets map[string]string // bodies by id
	texts   []string
}

func newAgent(t testing.TB, file string) *agent {
	dir := t.TempDir()
	a := &agent{t: t, dir: dir, packets: map[string]string{}}
	a.config = fileConfig(filepath.Join(dir, file), "1-3")
	a.config.Follow, a.config.Checkpoint = true, filepath.Join(t.TempDir(), "checkpoint")
	return a
}

func (a *agent) path(name string) string { return filepath.Join(a.dir, name) }

func (a *agent) start() {
	a.t.Helper()
	a.runs++
	s, err := newSource(a.config, nil, fmt.Sprintf("run%d", a.runs), slog.New(slog.DiscardHandler))
	if err != nil {
		a.t.Fatal(err)
	}
	a.s = s
}

// kill ends the source without its last checkpoint, as kill -9 does.
func (a *agent) kill() {
	followed := a.s.(*followSource)
	for _, t := range followed.tails {
		_ = t.file.Close()
	}
	_ = followed.lock.Close()
}

// poll makes the source check its files, without handing out packets.
func (a *agent) poll() {
	time.Sleep(pollInterval)
	s := a.s.(*followSource)
	s.collect(time.Now())
	s.save()
}

// read reads packets until there are none for a while. completed decides for each packet whether it
// is completed.
func (a *agent) read(limit int, completed func() bool) {
	a.t.Helper()
	for range limit {
		ctx, cancel := context.WithTimeout(a.t.Context(), 4*recordWait)
		var p outgoing
		err := a.s.next(ctx, &p)
		cancel()
		if err != nil {
			return
		}
		if len(p.body) == 0 {
			continue
		}
		got := readBack(a.t, &p)
		before, known := a.packets[got.PacketID]
		if known && before != string(p.body) {
			a.t.Fatalf("packet %s comes again as %s, was %s", got.PacketID, p.body, before)
		}
		if !known {
			a.packets[got.PacketID] = string(p.body)
			a.texts = append(a.texts, texts([]sent{got})...)
		}
		if completed() {
			p.span.done.Store(true)
		}
	}
}

func (a *agent) append(name, text string) {
	a.t.Helper()
	(&followedLog{t: a.t.(*testing.T)}).write(a.path(name), text)
}

func (a *agent) rename(from, to string) {
	a.t.Helper()
	if err := os.Rename(a.path(from), a.path(to)); err != nil {
		a.t.Fatal(err)
	}
}

// copyTruncate rotates as logrotate's copytruncate does.
func (a *agent) copyTruncate(from, to string) {
	a.t.Helper()
	content, err := os.ReadFile(a.path(from))
	if err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(a.path(to), content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Truncate(a.path(from), 0); err != nil {
		a.t.Fatal(err)
	}
}

// Numbered lines arrive exactly once, whatever the order of writing, rotation by rename and
// by copying, and kill -9 of the emitter with packets that are completed or not.
func TestEachLineOnceAcrossRotationAndKill(t *testing.T) {
	for _, pattern := range []string{"app.log", "app.log*"} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s %d", strings.TrimPrefix(pattern, "app."), seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { numberedLines(t, pattern, rand.New(rand.NewPCG(seed, 1))) })
			})
		}
	}
}

// A randomAgent follows a log that is written and rotated at random, and is killed at random.
type randomAgent struct {
	*agent
	random  *rand.Rand
	written []string // lines
}

func (a *randomAgent) maybe() bool { return a.random.IntN(2) == 0 }

// write appends up to 20 numbered lines to the log.
func (a *randomAgent) write() {
	var text strings.Builder
	for range 1 + a.random.IntN(20) {
		line := fmt.Sprintf("line %d of a log", len(a.written)+1)
		a.written = append(a.written, line)
		text.WriteString(line + "\n")
	}
	a.append("app.log", text.String())
}

// step writes lines, reads packets, restarts the agent or rotates the log.
func (a *randomAgent) step(i int) {
	switch a.random.IntN(6) {
	case 0, 1:
		a.write()
	case 2:
		a.read(a.random.IntN(8), a.maybe)
	case 3:
		a.kill()
		if a.maybe() {
			a.write()
		}
		a.start()
		a.poll()
	case 4, 5:
		a.rotate(fmt.Sprintf("app.log.%d", i))
	}
}

// rotate rotates the log by rename or by copy and truncate, with the agent killed meanwhile or not.
func (a *randomAgent) rotate(to string) {
	rotate := a.rename
	if a.maybe() {
		rotate = a.copyTruncate
	}
	killed := a.maybe()
	if killed {
		a.kill()
	}
	rotate("app.log", to)
	a.write()
	if killed {
		a.start()
	}
	a.poll() // the agent cannot find a file that is rotated away before the agent has opened it
}

func numberedLines(t *testing.T, pattern string, random *rand.Rand) {
	a := randomAgent{newAgent(t, pattern), random, nil}
	a.write()
	a.start()
	a.poll()
	for i := range 25 {
		a.step(i)
	}
	a.read(10_000, func() bool { return true })
	if err := a.s.close(); err != nil {
		t.Error(err)
	}
	slices.Sort(a.texts)
	slices.Sort(a.written)
	if !slices.Equal(a.texts, a.written) {
		t.Errorf("%d lines arrived, %d were written: %s", len(a.texts), len(a.written), difference(a.texts, a.written))
	}
	before := len(a.texts)
	a.start()
	a.read(100, a.maybe)
	if err := a.s.close(); err != nil || len(a.texts) != before {
		t.Errorf("after a clean stop %d lines came again, %v", len(a.texts)-before, err)
	}
}

func difference(got, want []string) string {
	count := map[string]int{}
	for _, line := range got {
		count[line]++
	}
	for _, line := range want {
		count[line]--
	}
	var text []string
	for line, n := range count {
		if n != 0 {
			text = append(text, fmt.Sprintf("%+d × %s", n, line))
		}
	}
	return fmt.Sprintf("%.600q", text)
}

// Records of several lines are not split, and are made again with the same boundaries.
func TestRecordsOfSeveralLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "*.log")
		a.config.Multiline = `^\S`
		a.append("a.log", "one\n  at x\n  at y\ntwo\n")
		a.append("b.log", "three\n  at z\n")
		a.start()
		a.read(10, func() bool { return false })
		a.append("b.log", "  late\nfour\n")
		a.kill()
		a.start()
		a.read(20, func() bool { return true })
		slices.Sort(a.texts)
		want := []string{"  late", "four", "one\n  at x\n  at y", "three\n  at z", "two"}
		if !slices.Equal(a.texts, want) {
			t.Errorf("%q, want %q", a.texts, want)
		}
		if err := a.s.close(); err != nil {
			t.Error(err)
		}
	})
}

// Records are conserved for any lines, and the text of each record is its lines.
func TestRecordReader(t *testing.T) {
	firstLine, err := compileFirstLine("^[a-z]")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b c", " x", "\ty", "", " " + strings.Repeat("z", maxLineBytes/2)})).Draw(t, "lines")
		var want []string
		for _, line := range lines {
			if len(want) == 0 || firstLine.MatchString(line) {
				want = append(want, line)
				continue
			}
			last := &want[len(want)-1]
			if len(*last) < maxLineBytes {
				*last += "\n" + line
				*last = (*last)[:min(len(*last), maxLineBytes)]
			}
		}
		content := strings.Join(lines, "\n")
		if content != "" {
			content += "\n"
		} else if len(lines) == 1 {
			content = "\n"
		}
		r := newRecordReader(staticFile{strings.NewReader(content), io.NopCloser(nil)}, firstLine)
		var got []string
		var read int64
		for {
			record, err := r.next()
			if err == io.EOF {
				break
			}
			got, read = append(got, string(record.text)), read+record.lines
		}
		if !slices.Equal(got, want) || read != int64(len(lines)) || r.end != int64(len(content)) {
			t.Fatalf("%.300q, want %.300q; %d lines of %d", got, want, read, len(lines))
		}
	})
}

// An invalid checkpoint is refused; a failure to write the checkpoint is reported once, and the
// files are sent nevertheless.
func TestCheckpointFaults(t *testing.T) {
	for _, content := range []string{"{", `{"version":2}`, ""} {
		a := newAgent(t, "app.log")
		if err := os.WriteFile(a.config.Checkpoint, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := newSource(a.config, nil, "run", slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "checkpoint: ") {
			t.Errorf("%q: %v", content, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "app.log")
		a.config.Checkpoint = filepath.Join(a.dir, "absent", "checkpoint")
		var log strings.Builder
		s, err := newSource(a.config, nil, "run", slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		a.s = s
		a.append("app.log", "a\n")
		a.read(5, func() bool { return true })
		a.append("app.log", "b\n")
		a.read(5, func() bool { return true })
		if !slices.Equal(a.texts, []string{"a", "b"}) || strings.Count(log.String(), "cannot be written") != 1 {
			t.Errorf("%q, %s", a.texts, log.String())
		}
		if err := s.close(); err == nil {
			t.Error("close does not report it")
		}
	})
}

// A file that was written anew while the emitter did not run, on the same inode and with the same
// beginning, is sent from its beginning if it is shorter than what was read. If it is longer it
// cannot be told from one that has grown, and continues at the position.
func TestFileThatIsWrittenAnew(t *testing.T) {
	banner := strings.Repeat("#", 2*fingerprintBytes)
	for _, c := range []struct{ anew, want []string }{
		{[]string{"new"}, []string{banner, "new"}},
		{[]string{"new 1", "new 2", "new 3", "new 4"}, []string{"new 4"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newAgent(t, "app.log")
			a.append("app.log", banner+"\nold 1\nold 2\nold 3\n")
			a.start()
			a.read(10, func() bool { return true })
			if err := a.s.close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(a.path("app.log"), 0); err != nil {
				t.Fatal(err)
			}
			a.append("app.log", banner+"\n"+strings.Join(c.anew, "\n")+"\n")
			a.start()
			a.texts = nil
			a.read(10, func() bool { return true })
			if !slices.Equal(a.texts, c.want) {
				t.Errorf("%.300q, want %.300q", a.texts, c.want)
			}
			a.kill()
		})
	}
}

// A file that cannot be followed is logged once, and followed when that becomes possible.
func TestUnfollowableFilesAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "app.log")
		a.config.File += "," + a.path("*.txt")
		if err := os.Mkdir(a.path("directory.txt"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(a.path("old.txt"), gzipped(t, []byte("x\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		s, err := newSource(a.config, nil, "run", slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		a.s = s
		a.read(1, func() bool { return true })
		a.append("app.log", "a\n")
		a.read(2, func() bool { return true })
		for _, want := range []string{"app.log: no such file", "not a regular file", "is gzip, which cannot be followed"} {
			if strings.Count(log.String(), want) != 1 {
				t.Errorf("%q is not logged once: %s", want, log.String())
			}
		}
		if !slices.Equal(a.texts, []string{"a"}) {
			t.Errorf("%q", a.texts)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
}

// A run with a checkpoint completes the spans of its packets.
func TestRunCompletesSpans(t *testing.T) {
	var packets atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	target := serve(t, func(http.ResponseWriter, int) int {
		if packets.Add(1) == 10 { // all
			cancel()
		}
		return http.StatusAccepted
	})
	config := testConfig(t, target.URL)
	config.StopTimeout = time.Minute
	config.Follow, config.Checkpoint = true, filepath.Join(t.TempDir(), "checkpoint")
	for i, want := range []int64{30, 0} {
		report := run(ctx, t, config, Dependencies{})
		ctx = t.Context()
		config.Duration = time.Second
		if report.Lines.Accepted != want {
			t.Errorf("run %d sent %d lines", i+1, report.Lines.Accepted)
		}
	}
}

// A second emitter with the same checkpoint does not start; when the first one has ended, another
// one can start.
func TestCheckpointIsLocked(t *testing.T) {
	a := newAgent(t, "log")
	a.start()
	_, err := newSource(a.config, nil, "second", slog.New(slog.DiscardHandler))
	if locked := (*datafile.LockedError)(nil); !errors.As(err, &locked) || !strings.Contains(err.Error(), a.config.Checkpoint) {
		t.Errorf("the second emitter: %v", err)
	}
	if err := a.s.close(); err != nil {
		t.Fatal(err)
	}
	a.start()
	if err := a.s.close(); err != nil {
		t.Error(err)
	}
}
