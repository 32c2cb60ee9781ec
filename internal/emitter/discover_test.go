package emitter

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// Files that begin alike are followed unless rotation by copying has made one of the other.
func TestFilesThatBeginAlike(t *testing.T) {
	for name, c := range map[string]struct{ pattern, first, second string }{
		"in two directories": {"*/app.log", "a/app.log", "b/app.log"},
		"numbered":           {"*.log", "worker-1.log", "worker-10.log"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAgent(t, c.pattern)
				for _, dir := range []string{"a", "b"} {
					if err := os.Mkdir(a.path(dir), 0o700); err != nil {
						t.Fatal(err)
					}
				}
				a.append(c.first, "ready\n")
				a.start()
				a.read(10, func() bool { return true })
				a.append(c.second, "ready\n")
				a.read(10, func() bool { return true })
				if want := []string{"ready", "ready"}; !slices.Equal(a.texts, want) {
					t.Errorf("got %q, want %q", a.texts, want)
				}
				if err := a.s.close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A log that is rotated by rename and has the same content each day arrives each day.
func TestRotationToTheSameContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "app.log*")
		a.append("app.log", "backup done\n")
		a.start()
		a.read(10, func() bool { return true })
		a.kill()
		a.rename("app.log", "app.log.1")
		a.append("app.log", "backup done\n")
		a.start()
		a.read(10, func() bool { return true })
		if want := []string{"backup done", "backup done"}; !slices.Equal(a.texts, want) {
			t.Errorf("got %q, want %q", a.texts, want)
		}
		if err := a.s.close(); err != nil {
			t.Error(err)
		}
	})
}

// A copy that rotation has begun, and that has no content yet when it is found, is no other log.
func TestCopyFoundEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "app.log*")
		a.append("app.log", "a\nb\n")
		a.start()
		a.read(10, func() bool { return true })
		a.append("app.log.1", "")
		a.poll()
		a.copyTruncate("app.log", "app.log.1")
		a.append("app.log", "c\n")
		a.read(10, func() bool { return true })
		if want := []string{"a", "b", "c"}; !slices.Equal(a.texts, want) {
			t.Errorf("got %q, want %q", a.texts, want)
		}
		if err := a.s.close(); err != nil {
			t.Error(err)
		}
	})
}

// A file that is not followed because it may be a copy is reported.
func TestCopyIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "app.log*")
		a.append("app.log", "a\n")
		var log strings.Builder
		s, err := newSource(a.config, nil, "run", slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		a.s = s
		a.read(10, func() bool { return true })
		a.append("app.log.bak", "a\n")
		a.read(10, func() bool { return true })
		if got := log.String(); !strings.Contains(got, "app.log.bak") || strings.Count(got, "begins like a followed file") != 1 {
			t.Errorf("the log is %q", got)
		}
		if err := a.s.close(); err != nil {
			t.Error(err)
		}
	})
}
