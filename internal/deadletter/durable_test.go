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

// disk simulates a crash of the machine: it preserves the synced part of each file
// whose directory entry was synced. Writes before a failed sync are lost, and later
// syncs do not report that.
type disk struct {
	dir string

	mu      sync.Mutex // guards the fields below
	synced  map[string]int64
	lost    map[string][][2]int64 // ranges of the files
	entries map[string]bool
	fails   func() bool // nil: never
}

// openDurable opens a durable store on a simulated disk.
func openDurable(t *testing.T, config Config) (*fixture, *disk) {
	t.Helper()
	config.Durable = true
	f := open(t, config)
	d := &disk{dir: config.Dir, synced: make(map[string]int64), lost: make(map[string][][2]int64), entries: make(map[string]bool)}
	f.store.fsync = d.fsync
	return f, d
}

func always() bool { return true }

func (d *disk) fsync(file *os.File) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	failed := d.fails != nil && d.fails()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if name := file.Name(); !info.IsDir() {
		if failed {
			d.lost[name] = append(d.lost[name], [2]int64{d.synced[name], info.Size()})
		}
		d.synced[name] = info.Size()
	} else if !failed {
		names, err := filepath.Glob(filepath.Join(name, "*"))
		if err != nil {
			return err
		}
		for _, name := range names {
			d.entries[name] = true
		}
	}
	if failed {
		return errors.New("input/output error")
	}
	return nil
}

// crash removes everything that is not durable.
func (d *disk) crash(f *fixture) {
	f.Helper()
	for _, name := range f.files() {
		if !d.entries[name] || !d.entries[d.dir] {
			if err := os.Remove(name); err != nil {
				f.Fatal(err)
			}
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		content = content[:d.synced[name]]
		for _, part := range slices.Backward(d.lost[name]) {
			content = slices.Delete(content, int(part[0]), int(part[1]))
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			f.Fatal(err)
		}
	}
}

// Added entries survive a crash, over several files.
func TestAddedEntriesSurviveACrash(t *testing.T) {
	f, disk := openDurable(t, Config{Dir: filepath.Join(t.TempDir(), "dir"), FileBytes: 500, Files: 100})
	var bodies []string
	for i := range 20 {
		bodies = append(bodies, bodyOf(fmt.Sprint(i)))
	}
	f.add(bodies[:1]...)
	f.add(bodies[1:9]...)
	f.add(bodies[9:]...)
	f.write(bodyOf("not synced"))
	disk.crash(f)
	f.wantPackets(bodies...)
}

// Add syncs the directory entry of a file, also after failures.
func TestDirectoryEntriesAreSynced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	f := open(t, DefaultConfig(dir)) // not durable: nothing is synced
	f.add(bodyOf("0"))
	f.store.Close()
	f, disk := openDurable(t, DefaultConfig(dir))
	syncs := 0
	disk.fails = func() bool { syncs++; return syncs == 2 } // of the directory
	if f.add(bodyOf("1")) != 1 {
		t.Error("an entry is done, and the directory entry of its file is not synced")
	}
	f.add(bodyOf("1"))
	f.wantLogged(1, 1)
	disk.crash(f)
	f.wantPackets(bodyOf("0"), bodyOf("1"), bodyOf("1"))
}

// An entry that is written during a sync needs another one, also if the file is
// replaced meanwhile.
func TestWriteDuringSync(t *testing.T) {
	for _, fileBytes := range []int64{1 << 20, 250} { // 250: one entry
		f, disk := openDurable(t, Config{Dir: filepath.Join(t.TempDir(), "dir"), FileBytes: fileBytes, Files: 10})
		first := f.write(bodyOf("1"))
		var second *batch
		f.store.fsync = func(file *os.File) error {
			f.store.fsync = disk.fsync
			err := disk.fsync(file)
			second = f.write(bodyOf("2"))
			return err
		}
		if err := f.store.sync(first); err != nil || first == second {
			t.Fatalf("%v; in the batch of the first: %v", err, first == second)
		}
		if err := f.store.sync(second); err != nil {
			t.Fatal(err)
		}
		disk.crash(f)
		f.wantPackets(bodyOf("1"), bodyOf("2"))
	}
}

// A failed sync makes all batches of the file fail, and none of another file.
func TestWriteDuringFailedSync(t *testing.T) {
	for fileBytes, lost := range map[int64]bool{1 << 20: true, 250: false} {
		f, disk := openDurable(t, Config{Dir: filepath.Join(t.TempDir(), "dir"), FileBytes: fileBytes, Files: 10})
		first := f.write(bodyOf("1"))
		var second *batch
		f.store.fsync = func(file *os.File) error {
			f.store.fsync = disk.fsync
			second = f.write(bodyOf("2"))
			disk.fails = always
			return disk.fsync(file)
		}
		want := f.store.sync(first)
		disk.fails = nil
		if want == nil {
			t.Fatal("the sync did not fail")
		}
		err := f.store.sync(second)
		if (err != nil) != lost {
			t.Errorf("the sync of the other batch returned %v; lost: %v", err, lost)
		}
		if got := f.store.sync(first); got != want {
			t.Errorf("a later call returned %v, not %v", got, want)
		}
	}
}

// A store that is not durable does not sync, and a durable one does not sync twice.
func TestSyncsOnlyIfNeeded(t *testing.T) {
	f := open(t, Config{Dir: t.TempDir(), FileBytes: 1 << 20, Files: 2})
	syncs := 0
	f.store.fsync = func(*os.File) error {
		syncs++
		return nil
	}
	f.add(bodyOf("1"))
	if syncs != 0 {
		t.Errorf("%d syncs, and the store is not durable", syncs)
	}
	f.store.config.Durable = true
	f.add(bodyOf("2"), bodyOf("3"), bodyOf("4"))
	if syncs != 3 {
		t.Errorf("%d syncs, want those of the file and of two directories", syncs)
	}
	f.add(bodyOf("5"))
	if syncs != 4 {
		t.Errorf("%d syncs, want one more", syncs)
	}
}

// While syncs fail no entry is done or counted; afterwards each is counted once,
// although it is stored twice.
func TestFailedSyncIsCountedAndRecovers(t *testing.T) {
	f, disk := openDurable(t, DefaultConfig(t.TempDir()))
	disk.fails = always
	two := []string{bodyOf("1"), bodyOf("2")}
	for range 3 {
		if got := f.add(two...); got != 2 {
			t.Errorf("%d of two entries are to be retried", got)
		}
	}
	f.wantLogged(1, 0)
	f.wantCounted(0, 3)
	if !strings.Contains(f.log.String(), "their packets are retried") || !strings.Contains(f.log.String(), "packet_id=1") {
		t.Errorf("the log does not name the packet or the effect: %s", f.log)
	}
	disk.fails = nil
	if got := f.add(two...); got != 0 {
		t.Errorf("%d entries are to be retried", got)
	}
	f.wantLogged(1, 1)
	f.wantCounted(2, 3)
	disk.crash(f)
	f.wantPackets(two...)
}

func (f *fixture) wantCounted(done, failures float64) {
	f.Helper()
	if got := testutil.ToFloat64(f.metrics.packets.WithLabelValues("a", "malformed")); got != done {
		f.Errorf("%v dead letters counted, want %v", got, done)
	}
	if got := f.metrics.writeErrors.Load(); float64(got) != failures {
		f.Errorf("%v failures counted, want %v", got, failures)
	}
}

// A failed write does not affect other entries of the call.
func TestOnlyFailedEntriesAreRetried(t *testing.T) {
	f, disk := openDurable(t, Config{Dir: filepath.Join(t.TempDir(), "dir"), FileBytes: 1 << 20, Files: 2})
	f.add(bodyOf("0"))
	f.breakFile()
	stored := f.store.Add([]Entry{f.entry(bodyOf("1")), f.entry(bodyOf("2")), f.entry(bodyOf("3"))})
	if !slices.Equal(stored, []bool{false, true, true}) {
		t.Errorf("stored: %v, want only the first to be retried", stored)
	}
	f.wantCounted(3, 1)
	disk.crash(f)
	f.wantPackets(bodyOf("0"), bodyOf("2"), bodyOf("3"))
}

// Entries that are done survive a crash, with random failures and concurrent calls.
func TestDoneEntriesAreSafe(t *testing.T) {
	f, disk := openDurable(t, Config{Dir: filepath.Join(t.TempDir(), "dir"), FileBytes: 2000, Files: 1000})
	disk.fails = func() bool { return rand.IntN(3) == 0 }
	var mu sync.Mutex
	var doneBodies []string
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				var entries []Entry
				for k := range 3 {
					entries = append(entries, f.entry(bodyOf(fmt.Sprint(i, j, k))))
				}
				stored := f.store.Add(entries)
				mu.Lock()
				for i, e := range entries {
					if stored[i] {
						doneBodies = append(doneBodies, string(e.Packet.Body))
					}
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
	for _, body := range doneBodies {
		if !safe[body] {
			t.Errorf("%s is done, and its entry is lost", body)
		}
	}
	if len(doneBodies) == 0 || len(doneBodies) == 8*50*3 {
		t.Errorf("%d entries are done", len(doneBodies))
	}
}
