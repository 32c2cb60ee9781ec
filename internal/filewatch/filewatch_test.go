package filewatch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a directory with a file that holds a number, and a watcher.
type fixture struct {
	*testing.T
	watcher *Watcher
	log     *bytes.Buffer
	path    string
	parsed  int
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, log: new(bytes.Buffer), path: filepath.Join(t.TempDir(), "number")}
	var err error
	if f.watcher, err = New(slog.New(slog.NewTextHandler(f.log, nil)), prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) write(text string) {
	f.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) source() Source { return Source{Key: "NUMBER", Path: f.path} }

func (f *fixture) parse(contents [][]byte) (int, error) {
	f.parsed++
	number, err := strconv.Atoi(string(contents[0]))
	if err != nil {
		return 0, f.source().Errorf("it must be a number")
	}
	return number, nil
}

func (f *fixture) watch() *File[int] {
	f.Helper()
	file, err := Watch(f.watcher, "test", []Source{f.source()}, f.parse)
	if err != nil {
		f.Fatal(err)
	}
	return file
}

// want checks the value, and how many failures are counted and lines logged.
func (f *fixture) want(file *File[int], value, failures, lines int) {
	f.Helper()
	counted := int(testutil.ToFloat64(f.watcher.failures.WithLabelValues("test")))
	if logged := strings.Count(f.log.String(), "\n"); file.Value() != value || counted != failures || logged != lines {
		f.Fatalf("value %d, %d failures, %d lines, want %d, %d, %d:\n%s", file.Value(), counted, logged, value, failures, lines, f.log)
	}
}

func TestReload(t *testing.T) {
	f := newFixture(t)
	f.write("1")
	file := f.watch()
	f.want(file, 1, 0, 0)
	for range 3 {
		if err := f.watcher.Reload(); err != nil || f.parsed != 1 {
			t.Fatalf("unchanged content: %v, parsed %d times", err, f.parsed)
		}
	}
	f.write("2")
	if err := f.watcher.Reload(); err != nil {
		t.Fatal(err)
	}
	f.want(file, 2, 0, 1)
	for range 3 { // counted and logged once
		f.write("x")
		if err := f.watcher.Reload(); err == nil || !strings.Contains(err.Error(), `NUMBER is "`+f.path+`": it must be a number`) {
			t.Fatal(err)
		}
		f.want(file, 2, 1, 2)
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	if err := f.watcher.Reload(); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	f.want(file, 2, 1, 2)
	f.write("2") // as before
	if err := f.watcher.Reload(); err != nil {
		t.Fatal(err)
	}
	f.want(file, 2, 1, 3)
	file.Close()
	f.write("x")
	if err := f.watcher.Reload(); err != nil {
		t.Fatalf("after Close: %v", err)
	}
	f.want(file, 2, 1, 3)
}

func TestWatchRefusesWhatCannotBeUsed(t *testing.T) {
	f := newFixture(t)
	for _, text := range []string{"", "x", strings.Repeat("1", MaxBytes+1)} {
		f.write(text)
		if _, err := Watch(f.watcher, "test", []Source{f.source()}, f.parse); err == nil || !strings.Contains(err.Error(), "NUMBER is ") {
			t.Errorf("%.10q: %v", text, err)
		}
	}
	if err := f.watcher.Reload(); err != nil {
		t.Errorf("what was refused is watched: %v", err)
	}
}

// Kubernetes swaps a link to the directory of a secret.
func TestSwappedLink(t *testing.T) {
	f := newFixture(t)
	dir := filepath.Dir(f.path)
	for i, name := range []string{"old", "new"} {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, name), 0o700),
			os.WriteFile(filepath.Join(dir, name, "number"), []byte{'1' + byte(i)}, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to string) {
		temporary := filepath.Join(dir, "temporary")
		if err := errors.Join(os.Symlink(to, temporary), os.Rename(temporary, filepath.Join(dir, "data"))); err != nil {
			t.Skip("there are no links: ", err)
		}
	}
	link("old")
	if err := os.Symlink(filepath.Join("data", "number"), f.path); err != nil {
		t.Fatal(err)
	}
	file := f.watch()
	f.want(file, 1, 0, 0)
	link("new")
	if err := f.watcher.Reload(); err != nil {
		t.Fatal(err)
	}
	f.want(file, 2, 0, 1)
}

func TestRunLooksEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.write("1")
		file := f.watch()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			f.watcher.Run(ctx)
			close(ended)
		}()
		f.write("2")
		time.Sleep(Interval - time.Nanosecond)
		synctest.Wait()
		if file.Value() != 1 {
			t.Error("it looked too early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		stop()
		<-ended
		f.want(file, 2, 0, 1)
	})
}
