package disk

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// crashDisk is a file system in memory that can lose what was not synced, run
// full, fail, and be damaged. It is harsh: a file whose directory was not
// synced may be gone after a crash, and unsynced pages are kept or dropped one
// by one.
type crashDisk struct {
	mu      sync.Mutex
	files   map[string]*crashFile
	durable map[string]*crashFile // what a crash leaves of the directories
	locked  map[string]bool
	room    int64 // bytes that may still be created
	// generation counts processes; what an earlier one holds does not work.
	generation int
	// failure, if not nil, is asked before each operation.
	failure func(operation, path string) error
}

const crashPage = 512

func newCrashDisk() *crashDisk {
	return &crashDisk{
		files: map[string]*crashFile{}, durable: map[string]*crashFile{}, locked: map[string]bool{}, room: 1 << 40,
	}
}

// bytes returns how large all files are together.
func (s *crashDisk) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var total int64
	for _, f := range s.files {
		total += int64(len(f.now))
	}
	return total
}

// crashFile has its bytes now and those that a crash leaves at least.
type crashFile struct {
	path   string
	now    []byte
	synced []byte
}

// crash ends the process and the machine: locks are gone, and of what was not
// synced each page is kept with a chance of one half.
func (s *crashDisk) crash(random *rand.Rand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.locked = map[string]bool{}
	after := map[string]*crashFile{}
	for path, f := range s.durable {
		if s.files[path] != f && random.IntN(2) == 0 {
			continue // its removal was not synced, but reached the disk
		}
		after[path] = f
	}
	for path, f := range s.files {
		if s.durable[path] != f && random.IntN(2) == 0 {
			after[path] = f // it was not synced, but reached the disk
		}
	}
	s.files, s.durable = after, map[string]*crashFile{}
	for path, f := range after {
		f.tear(random)
		s.durable[path] = f
	}
}

func (f *crashFile) tear(random *rand.Rand) {
	kept := slices.Clone(f.synced)
	if random.IntN(2) == 0 {
		kept = append(kept, make([]byte, max(0, len(f.now)-len(kept)))...)
	}
	for at := 0; at < min(len(kept), len(f.now)); at += crashPage {
		if end := min(at+crashPage, len(kept), len(f.now)); random.IntN(2) == 0 {
			copy(kept[at:end], f.now[at:end])
		}
	}
	f.now, f.synced = kept, slices.Clone(kept)
}

// kill ends the process alone: what was written stays.
func (s *crashDisk) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.locked = map[string]bool{}
}

// fail makes one kind of operation fail from now on; "" makes none fail.
func (s *crashDisk) fail(operation string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = func(asked, _ string) error {
		if asked == operation {
			return err
		}
		return nil
	}
}

// change changes the bytes of a file behind the journal's back.
func (s *crashDisk) change(path string, by func([]byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by(s.files[path].now)
}

// failWhen makes those operations fail of which when says so.
func (s *crashDisk) failWhen(err error, when func(operation, path string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = func(operation, path string) error {
		if when(operation, path) {
			return err
		}
		return nil
	}
}
