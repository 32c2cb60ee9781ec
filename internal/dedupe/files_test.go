package dedupe

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// text is a log.
type text struct {
	mu    sync.Mutex // guards bytes
	bytes []byte
}

func (l *text) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes = append(l.bytes, line...)
	return len(line), nil
}

func (l *text) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.bytes)
}

// logged opens a window and returns its log.
func logged(t *testing.T, config Config, now time.Time) (*Window, *text) {
	t.Helper()
	logged := new(text)
	w, err := Open(config, slog.New(slog.NewTextHandler(logged, nil)), now)
	if err != nil {
		t.Fatal(err)
	}
	return w, logged
}

// aSecret is the key of files that tests write.
var aSecret = secret{1, 2, 3}

// writeFile writes the file of a generation.
func writeFile(t *testing.T, dir string, named time.Time, records ...record) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, keyName), aSecret[:], 0o600); err != nil {
		t.Fatal(err)
	}
	header := aSecret.header()
	content := header[:]
	for _, r := range records {
		content = append(content, r[:]...)
	}
	if err := os.WriteFile((&log{dir: dir}).path(named), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func written(s sample) record { return recordOf(aSecret.fingerprint("", s.info, s.body, "")) }

func forgotten(s sample) record { return written(s).tombstone() }

// Generations of a clock that was ahead count as begun now: they are known, in order, and
// expire like others, also after restarts.
func TestClockAhead(t *testing.T) {
	const day = 24 * time.Hour
	for name, named := range map[string][2]time.Duration{
		"both": {day, 2 * day}, "the younger one": {-time.Second, day}, "the younger one, and the other of this moment": {0, day}, "by a moment": {time.Millisecond, 2 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Window: time.Minute, Packets: 100, Dir: t.TempDir()}
			writeFile(t, config.Dir, start.Add(named[0]), written(numbered(1)), written(numbered(2)))
			writeFile(t, config.Dir, start.Add(named[1]), forgotten(numbered(1)), written(numbered(3)))
			now := start
			for range 3 {
				w, text := logged(t, config, now)
				if knows(w, numbered(1)) || !knows(w, numbered(2)) || !knows(w, numbered(3)) || text.String() != "" {
					t.Errorf("%d packets are known after %v: %s", w.len(), now.Sub(start), text)
				}
				w.Close()
				now = now.Add(30 * time.Second)
			}
			w := open(t, config, now)
			accept(t, w, numbered(4), now)
			accept(t, w, numbered(2), start.Add(2*config.Window)) // as with the right clock
			accept(t, w, numbered(3), start.Add(2*config.Window))
			w.Close()
			w = open(t, config, start.Add(4*config.Window))
			defer w.Close()
			if w.len() > 0 {
				t.Errorf("much later %d packets are known", w.len())
			}
		})
	}
}

// An unreadable file is logged once and quarantined, and the others are read.
func TestUnreadableFile(t *testing.T) {
	for _, readable := range []int{0, 1} {
		config := Config{Window: time.Minute, Packets: 100, Dir: t.TempDir()}
		births := []time.Time{start, start.Add(time.Second)}
		writeFile(t, config.Dir, births[readable], written(numbered(1)))
		unreadable := (&log{dir: config.Dir}).path(births[1-readable])
		if err := os.Mkdir(unreadable, 0o750); err != nil {
			t.Fatal(err)
		}
		now := start.Add(2 * time.Second)
		w, text := logged(t, config, now)
		if got := text.String(); strings.Count(got, "level=WARN") != 1 || strings.Count(got, "\n") != 1 ||
			!strings.Contains(got, unreadable) || !strings.Contains(got, "is a directory") {
			t.Errorf("logged is %s", got)
		}
		accept(t, w, numbered(2), now)
		w.Close()
		if _, err := os.Stat(unreadable + unreadableExtension); err != nil {
			t.Error(err)
		}
		w, text = logged(t, config, now)
		if !knows(w, numbered(1)) || !knows(w, numbered(2)) || text.String() != "" {
			t.Errorf("afterwards %d packets are known; logged is %s", w.len(), text)
		}
		w.Close()
	}
}

// An expired file that cannot be removed is quarantined.
func TestUnremovableFile(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 100, Dir: t.TempDir()}
	old := (&log{dir: config.Dir}).path(start.Add(-time.Hour))
	if err := os.MkdirAll(filepath.Join(old, "something"), 0o750); err != nil {
		t.Fatal(err)
	}
	w, text := logged(t, config, start)
	defer w.Close()
	if got := text.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, old) {
		t.Errorf("logged is %s", got)
	}
	if files, err := w.log.files(); err != nil || len(files) > 1 {
		t.Errorf("files: %v, %v", files, err)
	}
}

// Open fails if the directory cannot be created.
func TestUnusableDir(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if w, err := Open(Config{Window: time.Minute, Packets: 1, Dir: filepath.Join(file, "dedupe")}, slog.New(slog.DiscardHandler), start); err == nil || w != nil {
		t.Errorf("Open: %v, %v", w, err)
	}
}
