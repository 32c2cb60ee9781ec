package disk

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// crashDisk is a file system in memory that drops unsynced data at a crash, page by page, and also
// files whose directory was not synced. It can be full, fail and be damaged.
type crashDisk struct {
	mu      sync.Mutex
	files   map[string]*crashFile
	durable map[string]*crashFile // the state of the directories after a crash
	locked  map[string]bool
	free    int64 // bytes that may still be created
	// alignment is that of writes to segments, as of direct writes; 1 by default.
	alignment int
	// generation counts processes; handles of an earlier process fail.
	generation int
	// failure, if not nil, is called before each operation.
	failure func(operation, path string) error
}

const crashPage = 512

func newCrashDisk() *crashDisk {
	return &crashDisk{
		files: map[string]*crashFile{}, durable: map[string]*crashFile{}, locked: map[string]bool{}, free: 1 << 40, alignment: 1,
	}
}

// bytes returns the total size of the files.
func (s *crashDisk) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var total int64
	for _, f := range s.files {
		total += int64(len(f.now))
	}
	return total
}

// crashFile has the current and the synced content of a file.
type crashFile struct {
	path   string
	now    []byte
	synced []byte
}

// crash ends the process and the machine: it releases the locks and drops each unsynced
// page with a probability of one half.
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

// kill ends the process: writes survive.
func (s *crashDisk) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.locked = map[string]bool{}
}

// fail makes an operation fail from now on; "" makes none fail.
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

// change changes the content of a file without the journal.
func (s *crashDisk) change(path string, by func([]byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by(s.files[path].now)
}

// failWhen makes the operations fail for which when returns true.
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
