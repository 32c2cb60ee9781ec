package datafile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// newDir returns a directory with a regular file named "file" and with one file of each other
// type, and the description of the type by name.
func newDir(t *testing.T) (dir string, others map[string]string) {
	t.Helper()
	dir = t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(at("file"), []byte("content"), 0o600))
	must(os.Mkdir(at("directory"), 0o700))
	others = map[string]string{"directory": "a directory"}
	if runtime.GOOS != "windows" {
		must(os.Symlink(at("file"), at("link")))
		must(os.Symlink(at("nothing"), at("dangling")))
		must(makePipe(at("pipe")))
		others["link"], others["dangling"], others["pipe"] = "a symbolic link", "a symbolic link", "a named pipe"
	}
	return dir, others
}

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir, others := newDir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, is := range others {
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREATE, os.O_WRONLY | os.O_APPEND} {
			f, err := Open(at(name), flag, 0o600)
			var kind *TypeError
			if !errors.As(err, &kind) || !strings.Contains(err.Error(), is) || !strings.Contains(err.Error(), at(name)) {
				t.Errorf("%s with flag %x: %v", name, flag, err)
			}
			if f != nil {
				f.Close()
			}
		}
	}
	if content, err := os.ReadFile(at("file")); string(content) != "content" || err != nil {
		t.Errorf("the file has %q, %v", content, err)
	}
	if _, err := os.Lstat(at("nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was created through a link")
	}
	for _, name := range []string{"file", "new"} {
		f, err := Open(at(name), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil || !IsAt(info, at(name)) || IsAt(info, at("directory")) {
			t.Errorf("IsAt does not recognise %s, %v", name, err)
		}
		f.Close()
	}
	if _, err := Open(at("absent"), os.O_RDONLY, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}

func TestDirs(t *testing.T) {
	dir := t.TempDir()
	if runtime.GOOS != "windows" {
		if err := os.Symlink(dir, dir+"-link"); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(dir + "-link")
		if err := MakeDir(filepath.Join(dir+"-link", "a", "b"), 0o700); err != nil {
			t.Errorf("below a link: %v", err)
		}
		if err := MakeDir(dir+"-link", 0o700); err == nil || !strings.Contains(err.Error(), "a symbolic link") {
			t.Errorf("a link: %v", err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MakeDir(file, 0o700); err == nil || !strings.Contains(err.Error(), "must be a directory, and is a regular file") {
		t.Errorf("a file: %v", err)
	}
	for range 2 {
		if err := MakeDir(filepath.Join(dir, "c", "d"), 0o700); err != nil {
			t.Error(err)
		}
	}
}

func TestReadFollowing(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]string{"file": "content"}
	if runtime.GOOS != "windows" {
		if err := errors.Join(os.Symlink(at("file"), at("link")), makePipe(at("pipe"))); err != nil {
			t.Fatal(err)
		}
		wanted["link"] = "content"
		if _, err := ReadFollowing(at("pipe"), 7); err == nil || !strings.Contains(err.Error(), "a named pipe") {
			t.Errorf("a pipe: %v", err)
		}
	}
	for name, want := range wanted {
		if content, err := ReadFollowing(at(name), 7); string(content) != want || err != nil {
			t.Errorf("%s: %q, %v", name, content, err)
		}
		if content, err := ReadFollowing(at(name), 6); content != nil || err == nil {
			t.Errorf("%s is larger than allowed: %q, %v", name, content, err)
		}
	}
	if _, err := ReadFollowing(dir, 7); err == nil || !strings.Contains(err.Error(), "a directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := ReadFollowing(at("absent"), 7); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}

// SetAside renames only files of the wrong type, even if the file was replaced since.
func TestSetAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lock")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	_, wrong := Open(path, os.O_RDWR, 0)
	if renamed, err := SetAside(fmt.Errorf("start: %w", wrong)); err != nil || renamed != path+".unreadable" {
		t.Errorf("%q, %v", renamed, err)
	}
	if err := errors.Join(os.Remove(path+".unreadable"), os.WriteFile(path, []byte("in use"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if renamed, err := SetAside(wrong); !errors.Is(err, wrong) {
		t.Errorf("the file that replaced the wrong one was renamed: %q, %v", renamed, err)
	}
	if content, err := os.ReadFile(path); string(content) != "in use" {
		t.Errorf("in its place is %q, %v", content, err)
	}
	if _, err := SetAside(os.ErrPermission); err != os.ErrPermission {
		t.Errorf("another error: %v", err)
	}
}

// SetAside keeps what was set aside before, up to maxSetAside files.
func TestSetAsideRepeatedly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	for n := 1; n <= maxSetAside+1; n++ {
		content := filepath.Join(path, fmt.Sprint(n))
		if err := os.MkdirAll(content, 0o700); err != nil {
			t.Fatal(err)
		}
		_, wrong := Open(path, os.O_RDWR, 0)
		renamed, err := SetAside(wrong)
		if n > maxSetAside {
			if !errors.Is(err, wrong) || !exists(content) {
				t.Errorf("%q, %v", renamed, err)
			}
			continue
		}
		if err != nil || !exists(filepath.Join(renamed, fmt.Sprint(n))) {
			t.Fatalf("%d: %q, %v", n, renamed, err)
		}
	}
	for n := 2; n <= maxSetAside; n++ {
		if !exists(fmt.Sprintf("%s.unreadable-%d/%d", path, n, n)) {
			t.Errorf("what was set aside as number %d is gone", n)
		}
	}
}
