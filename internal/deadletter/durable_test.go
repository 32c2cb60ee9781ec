package deadletter

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// disk is what a crash of the machine would leave of the files: what of each was
// there when it was synced, if its name was synced after it was made. What a failed
// sync should have made safe is lost for good, and no later one tells of it.
type disk struct {
	folder string

	mu     sync.Mutex // guards all below
	seen   map[string]int64
	lost   map[string][][2]int64 // parts of the files
	names  map[string]bool
	broken func() bool // nil: never
}

// crashing makes durable letters on such a disk.
func crashing(t *testing.T, config Config) (*fixture, *disk) {
	t.Helper()
	config.Durable = true
	f := open(t, config)
	d := &disk{folder: config.Dir, seen: make(map[string]int64), lost: make(map[string][][2]int64), names: make(map[string]bool)}
	f.letters.fsync = d.fsync
	return f, d
}

func always() bool { return true }

func (d *disk) fsync(file *os.File) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	broken := d.broken != nil && d.broken()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if name := file.Name(); !info.IsDir() {
		if broken {
			d.lost[name] = append(d.lost[name], [2]int64{d.seen[name], info.Size()})
		}
		d.seen[name] = info.Size()
	} else if !broken {
		names, err := filepath.Glob(filepath.Join(name, "*"))
		if err != nil {
			return err
		}
		for _, name := range names {
			d.names[name] = true
		}
	}
	if broken {
		return errors.New("input/output error")
	}
	return nil
}

// crash leaves what is safe.
func (d *disk) crash(f *fixture) {
	f.Helper()
	for _, name := range f.files() {
		if !d.names[name] || !d.names[d.folder] {
			if err := os.Remove(name); err != nil {
				f.Fatal(err)
			}
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		content = content[:d.seen[name]]
		for _, part := range slices.Backward(d.lost[name]) {
			content = slices.Delete(content, int(part[0]), int(part[1]))
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			f.Fatal(err)
		}
	}
}

// What was kept is there after a crash, over several files; what was only written may
// not be.
func TestKeptLettersSurviveACrash(t *testing.T) {
	f, disk := crashing(t, Config{Dir: filepath.Join(t.TempDir(), "folder"), FileBytes: 500, Files: 100})
	var bodies []string
	for i := range 20 {
		bodies = append(bodies, bodyOf(fmt.Sprint(i)))
	}
	f.keep(bodies[:1]...)
	f.keep(bodies[1:9]...)
	f.keep(bodies[9:]...)
	f.write(bodyOf("not synced"))
	disk.crash(f)
	f.wantPackets(bodies...)
}

// Once a letter is safe, so is the name of its file, whatever failed before.
func TestNamesAreSyncedToo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	f := open(t, DefaultConfig(dir)) // not durable: nothing is synced
	f.keep(bodyOf("0"))
	f.letters.Close()
	f, disk := crashing(t, DefaultConfig(dir))
	syncs := 0
	disk.broken = func() bool { syncs++; return syncs == 2 } // of the folder
	if f.keep(bodyOf("1")) != 1 {
		t.Error("a packet may end, and the name of its letter's file may not survive")
	}
	f.keep(bodyOf("1"))
	f.wantLogged(1, 1)
	disk.crash(f)
	f.wantPackets(bodyOf("0"), bodyOf("1"), bodyOf("1"))
}

// What is written while another letter is synced is not safe with it, but when it is
// synced itself, also if the file is full meanwhile.
func TestWriteDuringSync(t *testing.T) {
	for _, fileBytes := range []int64{1 << 20, 250} { // 250: one letter
		f, disk := crashing(t, Config{Dir: filepath.Join(t.TempDir(), "folder"), FileBytes: fileBytes, Files: 10})
		first := f.write(bodyOf("1"))
		var second *batch
		f.letters.fsync = func(file *os.File) error {
			f.letters.fsync = disk.fsync
			err := disk.fsync(file)
			second = f.write(bodyOf("2"))
			return err
		}
		if err := f.letters.sync(first); err != nil || first == second {
			t.Fatalf("%v; goes with the first: %v", err, first == second)
		}
		if err := f.letters.sync(second); err != nil {
			t.Fatal(err)
		}
		disk.crash(f)
		f.wantPackets(bodyOf("1"), bodyOf("2"))
	}
}

// A sync that fails costs what was written to the file meanwhile, too, whatever later
// ones say; nothing in another file.
func TestWriteDuringFailedSync(t *testing.T) {
	for fileBytes, lost := range map[int64]bool{1 << 20: true, 250: false} {
		f, disk := crashing(t, Config{Dir: filepath.Join(t.TempDir(), "folder"), FileBytes: fileBytes, Files: 10})
		first := f.write(bodyOf("1"))
		var second *batch
		f.letters.fsync = func(file *os.File) error {
			f.letters.fsync = disk.fsync
			second = f.write(bodyOf("2"))
			disk.broken = always
			return disk.fsync(file)
		}
		want := f.letters.sync(first)
		disk.broken = nil
		if want == nil {
			t.Fatal("it did not fail")
		}
		err := f.letters.sync(second)
		if (err != nil) != lost {
			t.Errorf("of the other letter the sync says %v; lost: %v", err, lost)
		}
		if got := f.letters.sync(first); got != want {
			t.Errorf("who asks later hears %v, not %v", got, want)
		}
	}
}

// Without need nothing is synced: not in memory mode, and not twice.
func TestSyncOnlyWhatIsNew(t *testing.T) {
	f := open(t, Config{Dir: t.TempDir(), FileBytes: 1 << 20, Files: 2})
	syncs := 0
	f.letters.fsync = func(*os.File) error {
		syncs++
		return nil
	}
	f.keep(bodyOf("1"))
	if syncs != 0 {
		t.Errorf("%d syncs, and letters are not durable", syncs)
	}
	f.letters.config.Durable = true
	f.keep(bodyOf("2"), bodyOf("3"), bodyOf("4"))
	if syncs != 3 {
		t.Errorf("%d syncs, want those of the file and of two folders", syncs)
	}
	f.keep(bodyOf("5"))
	if syncs != 4 {
		t.Errorf("%d syncs, want one more", syncs)
	}
}

// While a sync fails no packet may end, and none is counted; later each may, and is
// counted once, although its letter stands there twice.
func TestFailedSyncIsCountedAndHeals(t *testing.T) {
	f, disk := crashing(t, DefaultConfig(t.TempDir()))
	disk.broken = always
	two := []string{bodyOf("1"), bodyOf("2")}
	for range 3 {
		if got := f.keep(two...); got != 2 {
			t.Errorf("%d of two packets may not end", got)
		}
	}
	f.wantLogged(1, 0)
	f.wantCounted(0, 3)
	if !strings.Contains(f.log.String(), "their packets wait") || !strings.Contains(f.log.String(), "packet_id=1") {
		t.Errorf("the log does not tell of the packet, or of what becomes of it: %s", f.log)
	}
	disk.broken = nil
	if got := f.keep(two...); got != 0 {
		t.Errorf("%d packets may not end", got)
	}
	f.wantLogged(1, 1)
	f.wantCounted(2, 3)
	disk.crash(f)
	f.wantPackets(two...)
}

func (f *fixture) wantCounted(ended, failures float64) {
	f.Helper()
	if got := testutil.ToFloat64(f.metrics.packets[cause{"a", "malformed"}]); got != ended {
		f.Errorf("%v dead letters counted, want %v", got, ended)
	}
	if got := testutil.ToFloat64(f.metrics.writeErrors); got != failures {
		f.Errorf("%v failures counted, want %v", got, failures)
	}
}

// A letter that cannot be written costs those of the same call nothing.
func TestOnlyUnwrittenPacketsAreTriedAgain(t *testing.T) {
	f, disk := crashing(t, Config{Dir: filepath.Join(t.TempDir(), "folder"), FileBytes: 1 << 20, Files: 2})
	f.keep(bodyOf("0"))
	f.breakFile()
	_, unwritten := f.letters.Keep([]Letter{f.letter(bodyOf("1")), f.letter(bodyOf("2")), f.letter(bodyOf("3"))})
	if len(unwritten) != 1 || string(unwritten[0].Packet.Body) != bodyOf("1") {
		t.Errorf("%d packets have to be tried again: %v", len(unwritten), unwritten)
	}
	f.wantCounted(3, 1)
	disk.crash(f)
	f.wantPackets(bodyOf("0"), bodyOf("2"), bodyOf("3"))
}

// Whatever fails while many keep letters: what may end is safe.
func TestWhatMayEndIsSafe(t *testing.T) {
	f, disk := crashing(t, Config{Dir: filepath.Join(t.TempDir(), "folder"), FileBytes: 2000, Files: 1000})
	disk.broken = func() bool { return rand.IntN(3) == 0 }
	var mu sync.Mutex
	var may []string
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				var letters []Letter
				for k := range 3 {
					letters = append(letters, f.letter(bodyOf(fmt.Sprint(i, j, k))))
				}
				ended, _ := f.letters.Keep(letters)
				mu.Lock()
				for _, l := range ended {
					may = append(may, string(l.Packet.Body))
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	disk.crash(f)
	safe := make(map[string]bool)
	for _, body := range f.packets() {
		safe[body] = true
	}
	for _, body := range may {
		if !safe[body] {
			t.Errorf("%s may end, and its letter is lost", body)
		}
	}
	if len(may) == 0 || len(may) == 8*50*3 {
		t.Errorf("%d packets may end", len(may))
	}
}
