package deadletter

import (
	"context"
	"os"
	"path/filepath"
)

// deletedPerWrite is the number of dead letters that are marked together.
const deletedPerWrite = 4096

// Delete deletes the selected dead letters, replayed ones too unless the filter excludes them, and
// returns how many. They are neither listed nor replayed afterwards; the file with them is removed
// once all of its dead letters are deleted, or when the limit on files requires it. After an error,
// or if ctx ends, some are deleted.
func (s *Store) Delete(ctx context.Context, selection Selection) (deleted int64, err error) {
	p, err := s.plan(ctx, selection, "")
	if err != nil {
		return 0, err
	}
	for from := (position{}); ; {
		batch, err := s.nextToDelete(ctx, p, from)
		if err == nil && len(batch.marks) > 0 {
			err = s.marks.add(batch.file, batch.marks)
		}
		if err != nil {
			return deleted, err
		}
		if from.file != "" && from.file != batch.file {
			s.removeIfDeleted(ctx, from.file)
		}
		if len(batch.marks) == 0 {
			return deleted, nil
		}
		deleted += int64(len(batch.marks))
		s.metrics.deleted.Add(float64(len(batch.marks)))
		from = position{batch.file, int64(batch.marks[len(batch.marks)-1].offset) + 1}
	}
}

// nextToDelete returns marks for the next dead letters of a plan that are in one file.
func (s *Store) nextToDelete(ctx context.Context, p plan, from position) (batch fileMarks, err error) {
	err = s.each(ctx, p, from, func(l *line, _ Record, _ *storedPacket) (bool, error) {
		if len(batch.marks) == deletedPerWrite || len(batch.marks) > 0 && batch.file != l.file {
			return false, nil
		}
		batch.file = l.file
		batch.marks = append(batch.marks, l.marked(markDeleted))
		return true, nil
	})
	return batch, err
}

// marked returns a mark for the line.
func (l *line) marked(state markState) mark {
	return mark{uint32(l.offset), sumOf(l.text), state}
}

// removeIfDeleted removes a file of which all lines are marked as deleted, unless an entry
// was added to it meanwhile or is not synced. What cannot be removed stays for the limit on
// files.
func (s *Store) removeIfDeleted(ctx context.Context, name string) {
	path := filepath.Join(s.config.Dir, name)
	before, err := os.Lstat(path)
	if err != nil {
		return
	}
	left := false
	tooLong, err := s.scan(ctx, []extent{{name, before.Size()}}, position{}, func(*line) (bool, error) {
		left = true
		return false, nil
	})
	if err != nil || left || tooLong > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil && s.file.Name() == path {
		if s.file.unsynced > 0 {
			return
		}
		s.detachFileLocked()
	}
	if now, err := os.Lstat(path); err == nil && now.Size() == before.Size() && os.Remove(path) == nil {
		s.marks.removeOrphans()
	}
}
