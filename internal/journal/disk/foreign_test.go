//go:build unix

package disk

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/logstreamer/logstreamer/internal/datafile"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// realJournal is a journal in a real directory, with its log.
type realJournal struct {
	*Journal
	log *bytes.Buffer
}

func openReal(t *testing.T, dir string) realJournal {
	t.Helper()
	var log bytes.Buffer
	j, err := Open(Config{Dir: dir, MaxBytes: 16 << 20, MemoryLimitBytes: 1 << 20},
		Dependencies{Logger: slog.New(slog.NewTextHandler(&log, nil)), Pool: new(packet.Pool)})
	if err != nil {
		t.Fatal(err)
	}
	return realJournal{j, &log}
}

// storedIn returns a directory with a journal of undelivered packets.
func storedIn(t *testing.T, packets int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	j := openReal(t, dir)
	for range packets {
		if taken, err := j.Append([]*packet.Packet{aPacket(t, j.pool)}); taken != 1 || err != nil {
			t.Fatal(taken, err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func aPacket(t *testing.T, pool *packet.Pool) *packet.Packet {
	t.Helper()
	body := []byte(`{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`)
	info, err := packet.Check(body, 1)
	if err != nil {
		t.Fatal(err)
	}
	return pool.New(body, info)
}

// A foreignFile is created in the directory of the segments.
type foreignFile struct {
	put    func(dir string) error
	logged string // "" for a file that is not quarantined
}

// foreignFiles returns files by name; the link points to outside.
func foreignFiles(outside string) map[string]foreignFile {
	return map[string]foreignFile{
		"pipe":      {func(j string) error { return syscall.Mkfifo(j+"/0000000000000009.segment", 0o600) }, "not a regular file"},
		"directory": {func(j string) error { return os.Mkdir(j+"/0000000000000009.segment", 0o700) }, "not a regular file"},
		"link":      {func(j string) error { return os.Symlink(outside, j+"/0000000000000009.segment") }, "not a regular file"},
		"high":      {func(j string) error { return os.WriteFile(j+"/fffffffffffffffe.segment", []byte("x"), 0o600) }, "its name is not a number"},
		"zero":      {func(j string) error { return os.WriteFile(j+"/0000000000000000.segment", nil, 0o600) }, "its name is not a number"},
		"capitals":  {func(j string) error { return os.WriteFile(j+"/000000000000000A.segment", nil, 0o600) }, "its name is not a number"},
		"short":     {func(j string) error { return os.WriteFile(j+"/9.segment", nil, 0o600) }, "its name is not a number"},
		"copy":      {func(j string) error { return copyFile(j+"/0000000000000001.segment", j+"/0000000000000009.segment") }, "its header has the number 0000000000000001"},
		"other":     {func(j string) error { return os.WriteFile(j+"/notes.txt", []byte("x"), 0o600) }, ""},
		"sparse":    {func(j string) error { return os.Truncate(j+"/0000000000000001.segment", 1<<40) }, ""},
		"sparse, new": {func(j string) error {
			if err := os.WriteFile(j+"/0000000000000009.segment", nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(j+"/0000000000000009.segment", 1<<40)
		}, ""},
	}
}

// Open logs and quarantines foreign files among the segments: it does not block on them, follow
// links or lose a packet.
func TestForeignFiles(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range foreignFiles(outside) {
		t.Run(name, func(t *testing.T) { checkForeignFile(t, c) })
	}
	if content, err := os.ReadFile(outside); string(content) != "untouched" || err != nil {
		t.Errorf("the target of the link has %q, %v", content, err)
	}
}

// checkForeignFile checks that a journal with packets and the file opens, keeps the packets and
// accepts another one.
func checkForeignFile(t *testing.T, c foreignFile) {
	t.Helper()
	const packets = 5
	dir := storedIn(t, packets)
	if err := c.put(filepath.Join(dir, segmentsDir)); err != nil {
		t.Fatal(err)
	}
	if report, err := Verify(dir); err != nil || report.Undelivered.Packets != packets {
		t.Errorf("the journal is verified as %+v, %v", report, err)
	}
	j := openReal(t, dir)
	if left := j.Stats().Queued.Packets; left != packets {
		t.Errorf("%d packets are left of %d", left, packets)
	}
	if taken, err := j.Append([]*packet.Packet{aPacket(t, j.pool)}); taken != 1 || err != nil {
		t.Errorf("another packet: %d, %v", taken, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if named := strings.Contains(j.log.String(), "is quarantined"); named != (c.logged != "") || !strings.Contains(j.log.String(), c.logged) {
		t.Errorf("logged: %s", j.log)
	}
	if report, err := Verify(dir); err != nil || report.Undelivered.Packets != packets+1 || len(report.Foreign) > 0 {
		t.Errorf("afterwards the journal is verified as %+v, %v", report, err)
	}
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

// A foreign file at the path of the lock is quarantined, and the target of a link is not changed.
func TestForeignLock(t *testing.T) {
	for name, put := range map[string]func(dir, lock string) error{
		"directory": func(_, lock string) error { return os.MkdirAll(lock+"/with/content", 0o700) },
		"link":      func(dir, lock string) error { return os.Symlink(dir+"/target", lock) },
		"pipe":      func(_, lock string) error { return syscall.Mkfifo(lock, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := storedIn(t, 3)
			lock := filepath.Join(dir, LockFile)
			if err := errors.Join(os.WriteFile(dir+"/target", []byte("untouched"), 0o600), os.Remove(lock), put(dir, lock)); err != nil {
				t.Fatal(err)
			}
			j := openReal(t, dir)
			if left := j.Stats().Queued.Packets; left != 3 {
				t.Errorf("%d packets are found", left)
			}
			_, err := Open(Config{Dir: dir, MaxBytes: 16 << 20, MemoryLimitBytes: 1 << 20}, Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: new(packet.Pool)})
			if locked := (*datafile.LockedError)(nil); !errors.As(err, &locked) {
				t.Errorf("a second one: %v", err)
			}
			if err := j.Close(); err != nil {
				t.Error(err)
			}
			if info, err := os.Lstat(lock + ".unreadable"); err != nil || info.Mode().IsRegular() {
				t.Errorf("the foreign lock is not quarantined: %v, %v", info, err)
			}
			if content, _ := os.ReadFile(dir + "/target"); string(content) != "untouched" {
				t.Errorf("the target of a link has %q", content)
			}
		})
	}
}

// Open fails with an error that names the path if the directory of the segments has the wrong type:
// the segments may be at the target of a link.
func TestUnusableDirs(t *testing.T) {
	for name, c := range map[string]struct {
		make func(dir string) error
		want string
	}{
		"journal is a file": {func(dir string) error { return os.WriteFile(dir+"/journal", nil, 0o600) }, "/journal must be a directory, and is a regular file: move it away"},
		"journal is a link": {func(dir string) error { return os.Symlink(os.TempDir(), dir+"/journal") }, "/journal must be a directory, and is a symbolic link: move it away"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(dir+"/target", []byte("untouched"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			j, err := Open(Config{Dir: dir, MaxBytes: 16 << 20, MemoryLimitBytes: 1 << 20}, Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: new(packet.Pool)})
			if err == nil {
				j.Close()
			}
			if err == nil || !strings.Contains(err.Error(), dir+c.want) {
				t.Errorf("the start: %v", err)
			}
			if content, _ := os.ReadFile(dir + "/target"); string(content) != "untouched" {
				t.Errorf("the target of a link has %q", content)
			}
		})
	}
	dir, link := storedIn(t, 3), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	j := openReal(t, link) // as operators do
	if left := j.Stats().Queued.Packets; left != 3 {
		t.Errorf("through a link %d packets are found", left)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// FuzzSegmentNames checks that a name is a number exactly if the number has that name.
func FuzzSegmentNames(f *testing.F) {
	for _, name := range []string{"0000000000000001.segment", "fffffffffffffffe.segment", "1.segment", "000000000000000A.segment", "+000000000000001.segment", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		number, ok := segmentNumber(name)
		if ok != (number >= 1 && number <= maxSegmentNumber && segmentPath("", number) == name) {
			t.Errorf("%q is %d, %v", name, number, ok)
		}
	})
}
