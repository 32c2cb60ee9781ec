//go:build unix

package disk

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Packets are refused if the next start would not find them.
func TestVanishedDir(t *testing.T) {
	for name, remove := range map[string]func(dir string) error{
		"DATA_DIR removed": os.RemoveAll,
		"DATA_DIR moved":   func(dir string) error { return os.Rename(dir, dir+"-moved") },
		"DATA_DIR replaced": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"-moved"), os.MkdirAll(dir+"/journal", 0o750))
		},
		"the journal removed":      func(dir string) error { return os.RemoveAll(dir + "/journal") },
		"the newest segment moved": func(dir string) error { return moveNewest(dir) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			j := openReal(t, dir)
			defer j.Close() //nolint:errcheck // what it says is logged
			put := func() error {
				_, err := j.Append([]*packet.Packet{aPacket(t, j.pool)})
				return err
			}
			if err := put(); err != nil {
				t.Fatal(err)
			}
			if err := remove(dir); err != nil {
				t.Fatal(err)
			}
			if err := put(); !errors.Is(err, journal.ErrUnwritable) || !strings.Contains(err.Error(), "no longer exists") {
				t.Errorf("a packet in a directory that vanished: %v", err)
			}
			if err := j.CheckCapacity(1); err != nil && !errors.Is(err, journal.ErrUnwritable) {
				t.Errorf("CheckCapacity returns %v", err)
			}
		})
	}
}

func moveNewest(dir string) error {
	files, err := filepath.Glob(dir + "/journal/*" + segmentSuffix)
	if err != nil {
		return err
	}
	newest := files[len(files)-1]
	return os.Rename(newest, newest+"-moved")
}

// A data directory that was moved back is used again; a recreated directory without the lock is not
// used.
func TestVanishedDirComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	j := openReal(t, dir)
	put := func() error {
		_, err := j.Append([]*packet.Packet{aPacket(t, j.pool)})
		return err
	}
	if err := errors.Join(os.Rename(dir, dir+"-moved"), os.MkdirAll(dir+"/journal", 0o750)); err != nil {
		t.Fatal(err)
	}
	if err := put(); !errors.Is(err, journal.ErrUnwritable) {
		t.Fatal(err)
	}
	c := newCommitter(j.Journal, appender{files: j.files, dir: j.dir, segmentBytes: 1 << 20, number: 9}, 1)
	defer c.checks.Stop()
	if err := c.reopen(); err == nil || !strings.Contains(err.Error(), "lock no longer exists") {
		t.Errorf("a segment in a recreated directory: %v", err)
	}
	if err := errors.Join(os.RemoveAll(dir), os.Rename(dir+"-moved", dir)); err != nil {
		t.Fatal(err)
	}
	for j.CheckCapacity(1) != nil { // the journal retries by itself
		runtime.Gosched()
	}
	if err := put(); err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if report, err := Verify(dir); err != nil || report.Undelivered.Packets != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}
