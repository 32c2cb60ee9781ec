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

// What is in the place of the directory is quarantined.
func TestDirIsNoDirectory(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a regular file":  func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a symbolic link": func(path string) error { return os.Symlink(os.TempDir(), path) },
		"a named pipe":    func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		dir := filepath.Join(t.TempDir(), "dedupe")
		if err := put(dir); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		config := Config{Window: time.Minute, Packets: 10, Dir: dir}
		for n := range 2 {
			w, err := Open(config, slog.New(slog.NewTextHandler(&log, nil)), start)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if w.len() != n {
				t.Errorf("%s: %d packets are known, want %d", name, w.len(), n)
			}
			accept(t, w, numbered(n), start)
			w.Close()
		}
		if _, err := os.Lstat(dir + ".unreadable"); err != nil || strings.Count(log.String(), "must be a directory, and is "+name) != 1 {
			t.Errorf("%s: %v, logged %s", name, err, &log)
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
