package emitter

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// followedLog is a log that a test writes to while it is followed.
type followedLog struct {
	t    *testing.T
	path string
	s    source
}

func follow(t *testing.T, content, packetSize string) *followedLog {
	path := writeFile(t, []byte(content))
	config := fileConfig(path, packetSize)
	config.Follow = true
	return &followedLog{t: t, path: path, s: openSource(t, config, nil)}
}

func (l *followedLog) write(path, text string) {
	l.t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := io.WriteString(f, text); err != nil {
		l.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		l.t.Fatal(err)
	}
}

// expect reads the next packet and checks its messages and that it arrived
// within the poll interval and the longest wait for more lines.
func (l *followedLog) expect(want ...string) {
	l.t.Helper()
	started := time.Now()
	var p outgoing
	if err := l.s.next(l.t.Context(), &p); err != nil {
		l.t.Fatal(err)
	}
	if got := texts([]sent{readBack(l.t, &p)}); !slices.Equal(got, want) {
		l.t.Fatalf("got %q, want %q", got, want)
	}
	if waited := time.Since(started); waited > 2*pollInterval+recordWait {
		l.t.Fatalf("the packet arrived after %v", waited)
	}
}

// followTest runs under a fake clock.
func followTest(t *testing.T, content, packetSize string, test func(*followedLog)) {
	synctest.Test(t, func(t *testing.T) { test(follow(t, content, packetSize)) })
}

func TestFollowGrowth(t *testing.T) {
	followTest(t, "a\nb\nc\n", "2", func(l *followedLog) {
		l.expect("a", "b")
		l.expect("c") // a partial packet is flushed
		l.write(l.path, "d\nhalf a ")
		l.expect("d")
		l.write(l.path, "line\ne\n")
		l.expect("half a line", "e")
	})
}

func TestFollowTruncation(t *testing.T) {
	followTest(t, "a\nb\nunfinished", "2", func(l *followedLog) {
		l.expect("a", "b")
		go func() {
			time.Sleep(3 * pollInterval / 2)
			if err := os.Truncate(l.path, 0); err != nil {
				t.Error(err)
			}
			l.write(l.path, "c\n")
		}()
		l.expect("c") // the unfinished line was discarded
		l.write(l.path, "d\n")
		l.expect("d")
	})
}

func TestFollowRotation(t *testing.T) {
	followTest(t, "a\nb\n", "2", func(l *followedLog) {
		l.expect("a", "b")
		rotated := l.path + ".1"
		if err := os.Rename(l.path, rotated); err != nil {
			t.Fatal(err)
		}
		l.write(rotated, "c\n") // its writer still has the old file open
		l.expect("c")
		l.write(l.path, "d\n")
		go func() {
			time.Sleep(pollInterval / 2) // the new file is detected, and the old file is read once more
			l.write(rotated, "late")
		}()
		l.expect("d")
		l.expect("late") // files are not mixed in a packet
		l.write(l.path, "e\n")
		l.expect("e")
	})
}

func TestFollowStops(t *testing.T) {
	followTest(t, "a\nunfinished", "5", func(l *followedLog) {
		ctx, cancel := context.WithTimeout(l.t.Context(), flushAfter/2)
		defer cancel()
		var p outgoing
		if err := l.s.next(ctx, &p); err != context.DeadlineExceeded {
			t.Errorf("next = %v", err)
		}
		if got := texts([]sent{readBack(l.t, &p)}); !slices.Equal(got, []string{"a", "unfinished"}) {
			t.Errorf("when stopped, %q were handed on", got)
		}
	})
}

func TestGzipCannotBeFollowed(t *testing.T) {
	config := fileConfig(writeFile(t, gzipped(t, []byte("a\n"))), "5")
	config.Follow = true
	if _, err := New(config, Dependencies{Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "gzip") {
		t.Errorf("New = %v", err)
	}
}

// Lines of a pipe are sent as they arrive, in full packets when enough lines
// arrived together.
func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		l := &followedLog{t: t, s: openSource(t, fileConfig("-", "2"), from)}
		go func() {
			for _, part := range []string{"a\nb\nc", "\n", "d\n"} {
				if _, err := io.WriteString(to, part); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour)
			}
			if err := to.Close(); err != nil {
				t.Error(err)
			}
		}()
		wait := func() { time.Sleep(time.Hour - time.Minute) }
		l.expect("a", "b")
		wait()
		wait()
		l.expect("c")
		wait()
		l.expect("d")
		packets, _, end := drain(t, l.s)
		if len(packets) > 0 || end != io.EOF {
			t.Errorf("the pipe ended with %d packets and %v", len(packets), end)
		}
	})
}
