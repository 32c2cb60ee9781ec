package disk

import (
	"errors"
	"fmt"
	"time"
)

// appender writes the newest segment. Only the committer uses it.
//
// Nothing is ever appended to a segment of an earlier run, nor to one in which
// a write failed: what may follow unverified bytes is a new file.
type appender struct {
	files        fileSystem
	dir          string
	segmentBytes int64

	number  uint64   // of the newest segment
	segment *segment // nil: the next write begins one
	file    file
	size    int64 // bytes written to it
}

// begin makes a new segment whose first packet will get that sequence.
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

// fits tells whether the segment has room for so many bytes.
func (a *appender) fits(bytes int64) bool {
	return a.segment != nil && (a.size+bytes <= a.segmentBytes || a.size == segmentHeaderBytes)
}

// write appends records to the segment and returns their offset. With sync it
// returns when they, and all before them, are on stable storage, where the next
// start finds them.
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

// check returns an error when the segment is not at its path any more. The segment
// ends then.
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

// close syncs what was written without a sync, and ends the segment. Nothing is
// written after that.
func (a *appender) close() error {
	if a.segment == nil {
		return nil
	}
	err := a.file.Sync()
	return errors.Join(err, a.finish())
}

// finish ends the segment and gives back the room that it did not use.
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

// abandon ends the segment after a failed write. What is behind size was never
// accepted; when it cannot be cut off now, the next segment's header says so.
func (a *appender) abandon(size int64) {
	if a.segment == nil {
		return
	}
	a.size = size
	_ = a.finish()
}
