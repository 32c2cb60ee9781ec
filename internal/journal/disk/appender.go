package disk

import (
	"errors"
	"fmt"
	"time"
)

// appender writes the active segment. Only the committer uses it.
//
// It never appends to a segment of an earlier run or after a failed write: the
// bytes before the end of such a file are not verified.
type appender struct {
	files        fileSystem
	dir          string
	segmentBytes int64

	number  uint64   // of the last segment
	segment *segment // active segment; nil: the next write begins one
	file    file
	size    int64 // bytes written to file
}

// begin creates a segment; first is the sequence of its first packet.
func (a *appender) begin(first uint64, size int64) error {
	if err := a.finish(); err != nil {
		return err
	}
	size = max(size, a.segmentBytes)
	free, err := a.files.Free(a.dir)
	if err != nil {
		return err
	}
	if free < size+a.segmentBytes {
		return fmt.Errorf("only %d bytes are free at %s, and a new segment needs %d and as much in reserve", free, a.dir, size)
	}
	a.number++
	path := segmentPath(a.dir, a.number)
	f, err := a.files.Create(path, size)
	if err != nil {
		return err
	}
	header := segmentHeader{number: a.number, first: first, created: time.Now().UnixNano()}
	if err := a.writeHeader(f, header); err != nil {
		f.Close()
		_ = a.files.Remove(path)
		return err
	}
	a.segment = &segment{number: a.number, path: path}
	a.file, a.size = f, segmentHeaderBytes
	return nil
}

func (a *appender) writeHeader(f file, header segmentHeader) error {
	if err := writeSynced(f, header.encode(), 0); err != nil {
		return err
	}
	return a.files.SyncDir(a.dir)
}

// fits reports whether the segment has capacity for bytes. An empty segment
// accepts any number.
func (a *appender) fits(bytes int64) bool {
	return a.segment != nil && (a.size+bytes <= a.segmentBytes || a.size == segmentHeaderBytes)
}

// write appends records to the segment and returns their offset. With sync it
// returns after they and all earlier writes are on stable storage, at the path that
// the next start reads.
func (a *appender) write(records []byte, sync bool) (offset int64, err error) {
	offset = a.size
	if sync {
		if err = writeSynced(a.file, records, offset); err == nil {
			err = a.file.Check()
		}
	} else {
		_, err = a.file.WriteAt(records, offset)
	}
	if err != nil {
		return 0, err
	}
	a.size += int64(len(records))
	return offset, nil
}

// check returns an error, and ends the segment, if the file is no longer at its path.
func (a *appender) check() error {
	if a.segment == nil {
		return nil
	}
	err := a.file.Check()
	if err != nil {
		a.abandon(a.size)
	}
	return err
}

// close syncs and ends the segment.
func (a *appender) close() error {
	if a.segment == nil {
		return nil
	}
	err := a.file.Sync()
	return errors.Join(err, a.finish())
}

// finish ends the segment and frees its unused blocks.
func (a *appender) finish() error {
	if a.segment == nil {
		return nil
	}
	f := a.file
	a.segment, a.file = nil, nil
	if err := f.Truncate(a.size); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// abandon ends the segment at size after a failed write. If the truncation fails as
// well, the header of the next segment invalidates the bytes after size.
func (a *appender) abandon(size int64) {
	if a.segment == nil {
		return
	}
	a.size = size
	_ = a.finish()
}
