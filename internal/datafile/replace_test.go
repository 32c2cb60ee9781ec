package datafile

import (
	"os"
	"path/filepath"
	"testing"
)

// Replace replaces a file as a whole, and the unfinished file of an interrupted call.
func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"one, which is longer", "two"} {
		if err := Replace(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q, %v, want %q", got, err, content)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := Replace(filepath.Join(path, "below"), nil, 0o640); err == nil {
		t.Error("a file below a file is written")
	}
}

// Replace does not write to the target of a link at the path of the unfinished file.
func TestReplaceFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "state")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, path+".new"); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(victim, path); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("other"), 0o640); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(victim); string(got) != "mine" {
		t.Errorf("the link was followed: %q", got)
	}
	if got, _ := os.ReadFile(path); string(got) != "other" {
		t.Errorf("%q", got)
	}
}
