package deadletter

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// file is an open file of the store.
type file struct {
	*os.File

	size     int64  // of whole lines; guarded by Store.mu, as are the next two
	batch    *batch // the batch to which writes belong; nil: nothing was written since the last sync
	unsynced int    // batches whose sync has not finished; the last one closes a detached file

	named  bool  // the directory entry was synced; guarded by Store.syncMu, as is failed
	failed error // the first error of a sync
}

// batch is a set of entries in one file that are synced together. Store.syncMu
// guards synced and err.
type batch struct {
	file   *file
	synced bool
	err    error
}

// isReplaced reports whether the file was removed or renamed, which operators may
// do with files that are no longer needed.
func (f *file) isReplaced() bool {
	open, err := f.Stat()
	if err != nil {
		return true
	}
	current, err := os.Stat(f.Name())
	return err != nil || !os.SameFile(open, current)
}

// unsyncedBatch returns the batch of the last write.
func (f *file) unsyncedBatch() *batch {
	if f.batch == nil {
		f.batch = &batch{file: f}
		f.unsynced++
	}
	return f.batch
}

// write writes an entry and returns the batch to sync, or nil if the store is not
// durable.
func (s *Store) write(e Entry) (*batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line = appendLine(s.line[:0], e, time.Now())
	if err := s.writeLocked(s.line); err != nil {
		s.metrics.writeErrors.Add(1)
		return nil, err
	}
	if !s.config.Durable {
		return nil, nil
	}
	return s.file.unsyncedBatch(), nil
}

func (s *Store) writeLocked(line []byte) error {
	if s.file != nil && (s.file.size+int64(len(line)) > s.config.FileBytes || s.file.isReplaced()) {
		s.detachFileLocked()
	}
	if s.file == nil {
		opened, err := s.openLocked(int64(len(line)))
		if err != nil {
			return err
		}
		s.file = opened
	}
	n, err := s.file.Write(line)
	if err != nil {
		_ = s.file.Truncate(s.file.size) // a partial line must not join the next one
		s.detachFileLocked()
		return err
	}
	s.file.size += int64(n)
	return nil
}

// detachFileLocked makes the next write open a file. It closes the current file
// unless a sync is pending, which then closes it.
func (s *Store) detachFileLocked() {
	detached := s.file
	s.file = nil
	if detached != nil && detached.unsynced == 0 {
		_ = detached.Close()
	}
}

// sync makes a batch survive a crash. Concurrent calls for one batch share a sync.
func (s *Store) sync(b *batch) error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	if b.synced {
		return b.err
	}
	s.mu.Lock()
	b.file.batch = nil // later writes need another sync
	s.mu.Unlock()      // writes may continue during the sync
	b.synced, b.err = true, s.syncFile(b.file)
	s.mu.Lock()
	defer s.mu.Unlock()
	b.file.unsynced--
	if b.err != nil {
		s.metrics.writeErrors.Add(1)
		if s.file == b.file {
			s.file = nil
		}
	}
	if s.file != b.file && b.file.unsynced == 0 {
		_ = b.file.Close()
	}
	return b.err
}

// syncFile syncs the content of a file and, the first time, its directory entry.
// After a failure all later calls for the file fail, because the kernel reports a
// lost write only once.
func (s *Store) syncFile(f *file) error {
	if f.failed == nil {
		f.failed = s.fsync(f.File)
	}
	if f.failed == nil && !f.named {
		f.failed = errors.Join(s.syncDir(s.config.Dir), s.syncDir(filepath.Dir(s.config.Dir)))
		f.named = f.failed == nil
	}
	return f.failed
}

// syncMarks syncs a file of marks and its directory entry.
func (s *Store) syncMarks(f *os.File) error {
	return errors.Join(s.fsync(f), s.syncDir(s.config.Dir))
}

func (s *Store) syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(s.fsync(dir), dir.Close())
}
