//go:build unix

package dedupe

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// Entries with the name of a generation that are no regular files are quarantined and not
// opened; other names are ignored.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	pipe, link := fmt.Sprintf("%d.ids", start.UnixMilli()-2), fmt.Sprintf("%d.ids", start.UnixMilli()-1)
	if err := errors.Join(
		os.WriteFile(outside, []byte("untouched"), 0o600),
		syscall.Mkfifo(filepath.Join(dir, pipe), 0o600),
		os.Symlink(outside, filepath.Join(dir, link)),
		os.WriteFile(dir+"/+4.ids", []byte("x"), 0o600),
		os.WriteFile(dir+"/05.ids", []byte("x"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	config := Config{Window: time.Minute, Packets: 10, Dir: dir}
	for n := range 2 {
		w := open(t, config, start)
		if w.len() != n {
			t.Errorf("%d packets are known, want %d", w.len(), n)
		}
		accept(t, w, numbered(n), start)
		w.Close()
	}
	for _, name := range []string{pipe + ".unreadable", link + ".unreadable", "+4.ids", "05.ids"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if content, err := os.ReadFile(outside); string(content) != "untouched" || err != nil {
		t.Errorf("what a link points to has %q, %v", content, err)
	}
}

// Open fails if the directory is a file or a link.
func TestDirIsNoDirectory(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a regular file":  func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a symbolic link": func(path string) error { return os.Symlink(os.TempDir(), path) },
	} {
		dir := filepath.Join(t.TempDir(), "dedupe")
		if err := put(dir); err != nil {
			t.Fatal(err)
		}
		w, err := Open(Config{Window: time.Minute, Packets: 10, Dir: dir}, slog.New(slog.DiscardHandler), start)
		if err == nil {
			w.Close()
		}
		if err == nil || !strings.Contains(err.Error(), dir+" must be a folder, and is "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A removed directory is recreated with its key; packets accepted from then on are known
// after a restart.
func TestRemovedDirIsRecreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := Config{Window: time.Minute, Packets: 10, Dir: filepath.Join(t.TempDir(), "dedupe")}
		w := open(t, config, time.Now())
		accept(t, w, numbered(1), time.Now())
		time.Sleep(time.Second)
		if err := os.RemoveAll(config.Dir); err != nil {
			t.Fatal(err)
		}
		accept(t, w, numbered(2), time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		w.Close()
		w = open(t, config, time.Now())
		defer w.Close()
		if w.len() != 1 {
			t.Errorf("%d packets are known, want the one that was accepted afterwards", w.len())
		}
	})
}
