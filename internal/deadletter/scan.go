package deadletter

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/logstreamer/logstreamer/internal/datafile"
)

// maxScans is the number of scans at a time: each reads up to all files and holds one
// line in memory.
const maxScans = 2

// extent is the part of a file that a scan reads: dead letters that are written later
// are not in it.
type extent struct {
	file string // name in the directory
	size int64
}

// extents returns the current content of the directory, oldest file first.
func (s *Store) extents() ([]extent, error) {
	paths, err := Files(s.config.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var extents []extent
	for _, path := range paths {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		extents = append(extents, extent{filepath.Base(path), min(info.Size(), maxFileBytes)})
	}
	return extents, nil
}

// scan calls visit for the lines of extents from a position on, until visit returns
// false or an error. It skips lines that are marked as deleted, and files that are
// removed meanwhile, and returns the number of lines that are too long. The lines of
// one call are valid until the next.
func (s *Store) scan(ctx context.Context, extents []extent, from position, visit func(*line) (more bool, err error)) (tooLong int64, err error) {
	select {
	case s.scans <- struct{}{}:
		defer func() { <-s.scans }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	for _, e := range extents {
		if e.file < from.file {
			continue
		}
		offset := int64(0)
		if e.file == from.file {
			offset = from.offset
		}
		skipped, more, err := s.scanFile(ctx, e, offset, visit)
		tooLong += skipped
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return tooLong, err
		}
		if err == nil && !more {
			return tooLong, nil
		}
	}
	return tooLong, nil
}

func (s *Store) scanFile(ctx context.Context, e extent, offset int64, visit func(*line) (bool, error)) (tooLong int64, more bool, err error) {
	marks, err := s.marks.of(e.file)
	if err != nil {
		return 0, false, err
	}
	file, err := datafile.Open(filepath.Join(s.config.Dir, e.file), os.O_RDONLY, 0)
	if err != nil {
		return 0, false, err
	}
	defer file.Close() //nolint:errcheck // only read
	if offset, err = lineStart(file, offset); err != nil {
		return 0, false, err
	}
	return scanLines(ctx, io.NewSectionReader(file, offset, e.size-offset), position{e.file, offset}, marks, s.config.LineBytes, visit)
}

// lineStart returns the offset of the first line at an offset or behind it.
func lineStart(file io.ReaderAt, offset int64) (int64, error) {
	var before [1]byte
	if offset == 0 {
		return 0, nil
	}
	if _, err := file.ReadAt(before[:], offset-1); err == nil && before[0] == '\n' {
		return offset, nil
	}
	reader := newLineReader(io.NewSectionReader(file, offset-1, maxFileBytes), 0, offset-1)
	switch _, _, err := reader.next(); {
	case errors.Is(err, io.EOF):
		return maxFileBytes, nil
	case err != nil:
		return 0, err
	}
	return reader.offset, nil
}

// scanLines is scan for a file that is open.
func scanLines(ctx context.Context, r io.Reader, from position, marks []mark, maxBytes int, visit func(*line) (bool, error)) (tooLong int64, more bool, err error) {
	lines := newLineReader(r, maxBytes, from.offset)
	marks = marks[sort.Search(len(marks), func(i int) bool { return int64(marks[i].offset) >= from.offset }):]
	for {
		if err := ctx.Err(); err != nil {
			return tooLong, false, err
		}
		text, at, err := lines.next()
		if errors.Is(err, io.EOF) {
			return tooLong, true, nil
		}
		if err != nil {
			return tooLong, false, err
		}
		if text == nil {
			tooLong++
			continue
		}
		one := line{position: position{from.file, at}, text: text}
		if marks = one.markBy(marks); one.mark == markDeleted {
			continue
		}
		if more, err := visit(&one); err != nil || !more {
			return tooLong, false, err
		}
	}
}

// markBy sets the line's mark and sum from the marks at its offset or behind it, and
// returns those that are left.
func (l *line) markBy(marks []mark) []mark {
	for len(marks) > 0 && int64(marks[0].offset) <= l.offset {
		if int64(marks[0].offset) == l.offset {
			if l.sum == 0 {
				l.sum = sumOf(l.text)
			}
			if marks[0].sum == l.sum {
				l.mark = max(l.mark, marks[0].state)
			}
		}
		marks = marks[1:]
	}
	return marks
}
