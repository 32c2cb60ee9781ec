package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// CheckVersion needs no lock, and succeeds without a journal.
func TestCheckVersion(t *testing.T) {
	dir := t.TempDir()
	if err := CheckVersion(dir); err != nil {
		t.Errorf("no journal: %v", err)
	}
	header := segmentHeader{number: 1, first: 1}.encode()
	path := segmentPath(filepath.Join(dir, segmentsDir), 1)
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func() {
		if err := os.WriteFile(path, header, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if err := CheckVersion(dir); err != nil {
		t.Errorf("this version: %v", err)
	}
	header[4] = segmentVersion + 1
	resealHeader(header)
	write()
	if version := (*VersionError)(nil); !errors.As(CheckVersion(dir), &version) {
		t.Error("a newer version is not reported")
	}
}
