//go:build unix

package deadletter

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Pipes, directories and links are neither listed nor exported nor written to, and a
// file that is far too large is not read.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(
		os.WriteFile(outside, []byte("secret\n"), 0o600),
		os.WriteFile(dir+"/dead-letter-1.ndjson", []byte("one\n"), 0o600),
		syscall.Mkfifo(dir+"/dead-letter-2.ndjson", 0o600),
		os.Mkdir(dir+"/dead-letter-3.ndjson", 0o700),
		os.Symlink(outside, dir+"/dead-letter-4.ndjson"),
	); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Export(dir, &out); err != nil || out.String() != "one\n" {
		t.Errorf("exported %q, %v", out.String(), err)
	}
	if err := errors.Join(os.WriteFile(dir+"/dead-letter-5.ndjson", nil, 0o600), os.Truncate(dir+"/dead-letter-5.ndjson", 1<<40)); err != nil {
		t.Fatal(err)
	}
	if err := Export(dir, &out); err == nil || !strings.Contains(err.Error(), "dead-letter-5.ndjson is no file of dead letters") {
		t.Errorf("a file of a terabyte: %v", err)
	}
}
