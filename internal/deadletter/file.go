package deadletter

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// file is an open file of letters.
type file struct {
	*os.File

	size     int64  // of whole lines; guarded by Letters.mu, as are the next two
	batch    *batch // what no sync has begun with; nil: nothing
	unsynced int    // batches whose sync is not over: the last one's closes a file that was left

	named  bool  // its name survives a crash; guarded by Letters.syncing, as is failed
	failed error // what its first failed sync said
}

// batch is letters of one file that one sync makes safe. What the sync says is
// guarded by Letters.syncing.
type batch struct {
	file   *file
	synced bool
	err    error
}

// isGone tells whether somebody has removed or moved the file, who may do so with
// those that are not needed any more.
func (f *file) isGone() bool {
	open, err := f.Stat()
	if err != nil {
		return true
	}
	there, err := os.Stat(f.Name())
	return err != nil || !os.SameFile(open, there)
}

// unsyncedBatch returns the batch to which belongs what was written last.
func (f *file) unsyncedBatch() *batch {
	if f.batch == nil {
		f.batch = &batch{file: f}
		f.unsynced++
	}
	return f.batch
}

// write writes a letter and returns the batch that has to be synced, nil if none
// has.
func (l *Letters) write(letter Letter) (*batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = appendLine(l.line[:0], letter, time.Now())
	if err := l.writeLocked(l.line); err != nil {
		l.metrics.writeErrors.Inc()
		return nil, err
	}
	if !l.config.Durable {
		return nil, nil
	}
	return l.file.unsyncedBatch(), nil
}

func (l *Letters) writeLocked(line []byte) error {
	if l.file != nil && (l.file.size+int64(len(line)) > l.config.FileBytes || l.file.isGone()) {
		l.leaveFileLocked()
	}
	if l.file == nil {
		opened, err := l.openLocked(int64(len(line)))
		if err != nil {
			return err
		}
		l.file = opened
	}
	n, err := l.file.Write(line)
	if err != nil {
		_ = l.file.Truncate(l.file.size) // a cut line must not run into the next one
		l.leaveFileLocked()
		return err
	}
	l.file.size += int64(n)
	return nil
}

// leaveFileLocked has the next letter open a file anew.
func (l *Letters) leaveFileLocked() {
	left := l.file
	l.file = nil
	if left != nil && left.unsynced == 0 {
		_ = left.Close()
	}
}

// sync has a batch survive a crash. One does it for all who wait meanwhile.
func (l *Letters) sync(b *batch) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if b.synced {
		return b.err
	}
	l.mu.Lock()
	b.file.batch = nil // what is written from here on is for the next sync
	l.mu.Unlock()      // others may write meanwhile
	b.synced, b.err = true, l.secure(b.file)
	l.mu.Lock()
	defer l.mu.Unlock()
	b.file.unsynced--
	if b.err != nil {
		l.metrics.writeErrors.Inc()
		if l.file == b.file {
			l.file = nil
		}
	}
	if l.file != b.file && b.file.unsynced == 0 {
		_ = b.file.Close()
	}
	return b.err
}

// secure makes a file's content survive a crash, and its name unless it does
// already. Once that failed nothing that is written to the open file is safe any
// more: the system tells of a lost write only once.
func (l *Letters) secure(f *file) error {
	if f.failed == nil {
		f.failed = l.fsync(f.File)
	}
	if f.failed == nil && !f.named {
		f.failed = errors.Join(l.syncFolder(l.config.Dir), l.syncFolder(filepath.Dir(l.config.Dir)))
		f.named = f.failed == nil
	}
	return f.failed
}

func (l *Letters) syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(l.fsync(folder), folder.Close())
}
