package dedupe

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestKeyFile(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 100, Dir: filepath.Join(t.TempDir(), "dedupe")}
	path := filepath.Join(config.Dir, keyName)
	w := open(t, config, start)
	w.Close()
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o600 || info.Size() != int64(len(secret{})) {
		t.Fatalf("the key's file is %v, %v", info, err)
	}
	key, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(key, w.secret[:]) || w.secret == (secret{}) {
		t.Errorf("the key is %x, the file has %x: %v", w.secret, key, err)
	}
	again := open(t, config, start)
	defer again.Close()
	if again.secret != w.secret {
		t.Error("another start has another key")
	}
	if _, err := os.Lstat(filepath.Join(config.Dir, keyName+".new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the unfinished file stays: %v", err)
	}
}

func TestWindowsInMemoryHaveTheirOwnKeys(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 100}
	if v, w := open(t, config, start), open(t, config, start); v.secret == w.secret || v.secret == (secret{}) {
		t.Error("two windows have one key, or none")
	}
}

// An unusable key is logged, quarantined and unchanged; the window is empty and works from
// then on.
func TestUnusableKey(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	for name, spoil := range map[string]func(path string) error{
		"removed":    os.Remove,
		"short":      func(path string) error { return os.Truncate(path, 31) },
		"empty":      func(path string) error { return os.Truncate(path, 0) },
		"long":       func(path string) error { return os.WriteFile(path, make([]byte, 33), 0o600) },
		"another":    func(path string) error { return os.WriteFile(path, make([]byte, 32), 0o600) },
		"directory":  func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"FIFO":       func(path string) error { return errors.Join(os.Remove(path), makeFIFO(path)) },
		"link":       func(path string) error { return errors.Join(os.Rename(path, outside), os.Symlink(outside, path)) },
		"dead link":  func(path string) error { return errors.Join(os.Remove(path), os.Symlink(outside+"2", path)) },
		"unfinished": func(path string) error { return os.Rename(path, filepath.Join(filepath.Dir(path), keyName+".new")) },
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Window: time.Minute, Packets: 100, Dir: t.TempDir()}
			path := filepath.Join(config.Dir, keyName)
			w := open(t, config, start)
			accept(t, w, numbered(1), start)
			w.Close()
			before := w.secret
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			w, text := logged(t, config, start)
			if w.secret == before || w.len() != 0 {
				t.Errorf("the key is that of before, or %d packets are known", w.len())
			}
			wantLogged := 2 // of the key, and of the file that was written with the other one
			if name == "removed" || name == "another" || name == "unfinished" {
				wantLogged = 1
			}
			if got := text.String(); strings.Count(got, "level=WARN") != wantLogged || strings.Count(got, "\n") != wantLogged {
				t.Errorf("logged is %s", got)
			}
			accept(t, w, numbered(1), start)
			w.Close()
			w, text = logged(t, config, start)
			defer w.Close()
			if !knows(w, numbered(1)) || text.String() != "" {
				t.Errorf("after another start %d packets are known: %s", w.len(), text)
			}
		})
	}
	if _, err := os.Lstat(outside + "2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link was followed: %v", err)
	}
}

// Without a writable directory the window starts empty.
func TestUnwritableKey(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 100, Dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(config.Dir, keyName+".new", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w, text := logged(t, config, start)
		if got := text.String(); !strings.Contains(got, "cannot be written") || w.len() != 0 {
			t.Errorf("%d packets are known; logged is %s", w.len(), got)
		}
		accept(t, w, numbered(1), start)
		if !knows(w, numbered(1)) {
			t.Error("no packet is known")
		}
		w.Close()
	}
}

// Files of versions with ids only are quarantined.
func TestFilesOfAnEarlierVersion(t *testing.T) {
	for name, content := range map[string][]byte{
		"one key":          bytes.Repeat([]byte{7}, 16),
		"many keys":        bytes.Repeat([]byte{7}, 16*300),
		"cut":              bytes.Repeat([]byte{7}, 16*300+5),
		"as a header":      append([]byte(formatName), bytes.Repeat([]byte{7}, 56)...),
		"shorter than one": {7, 7},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Window: time.Minute, Packets: 100, Dir: t.TempDir()}
			old := (&log{dir: config.Dir}).path(start)
			if err := os.WriteFile(old, content, 0o600); err != nil {
				t.Fatal(err)
			}
			w, text := logged(t, config, start)
			if got := text.String(); w.len() != 0 || strings.Count(got, "\n") != 1 || !strings.Contains(got, old) {
				t.Errorf("%d packets are known; logged is %s", w.len(), got)
			}
			accept(t, w, numbered(1), start)
			w.Close()
			w, text = logged(t, config, start)
			defer w.Close()
			if !knows(w, numbered(1)) || w.len() != 1 || text.String() != "" {
				t.Errorf("after another start %d packets are known; logged is %s", w.len(), text)
			}
			if got, err := os.ReadFile(old + unreadableExtension); err != nil || !bytes.Equal(got, content) {
				t.Errorf("the quarantined file has %d bytes: %v", len(got), err)
			}
		})
	}
}

// An incomplete header is not an error.
func TestIncompleteHeader(t *testing.T) {
	for length := range recordSize {
		config := Config{Window: time.Minute, Packets: 100, Dir: t.TempDir()}
		w := open(t, config, start)
		w.Close()
		if err := os.Truncate(w.log.path(start), int64(length)); err != nil {
			t.Fatal(err)
		}
		w, text := logged(t, config, start)
		accept(t, w, numbered(1), start)
		w.Close()
		w = open(t, config, start)
		if !knows(w, numbered(1)) || text.String() != "" {
			t.Errorf("with %d bytes of a header: %s", length, text)
		}
		w.Close()
	}
}
