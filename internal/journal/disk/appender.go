package disk

import (
	"errors"
	"fmt"
	"reflect"
	"time"
)

// appender writes the active segment, in pieces of at most bytesPerWrite. Only the committer
// uses it.
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
	size    int64 // bytes of the commits in file, including the header
	// buffer has aligned memory. Its bytes are written at offset. If writes must be aligned, it
	// begins with the last unit of the previous write, if that unit was incomplete.
	buffer []byte
	offset int64
	footer footer // of segment
}

// inMiB returns a number of bytes for people, rounded to hundredths of a MiB.
func inMiB(bytes int64) string { return fmt.Sprintf("%.2f MiB", float64(bytes)/(1<<20)) }

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
		return fmt.Errorf("only %s are free at %s: a new segment needs %s, and %s in reserve", inMiB(free), a.dir, inMiB(size), inMiB(a.segmentBytes))
	}
	a.number++
	path := segmentPath(a.dir, a.number)
	f, err := a.files.Create(path, size)
	if err != nil {
		return err
	}
	a.file, a.buffer, a.offset = f, a.buffer[:0], 0
	header := segmentHeader{number: a.number, first: first, created: time.Now().UnixNano()}
	if err := a.writeHeader(header); err != nil {
		a.file = nil
		f.Close()
		_ = a.files.Remove(path)
		return err
	}
	a.segment = &segment{number: a.number, path: path}
	a.footer.reset(a.number, first)
	return nil
}

func (a *appender) writeHeader(header segmentHeader) error {
	if err := a.put(header.encode()); err != nil {
		return err
	}
	if err := a.flush(true); err != nil {
		return err
	}
	return a.files.SyncDir(a.dir)
}

// fits reports whether the segment has capacity for bytes. An empty segment
// accepts any number.
func (a *appender) fits(bytes int64) bool {
	return a.segment != nil && (a.size+bytes <= a.segmentBytes || a.size == segmentHeaderBytes)
}

// put appends to the buffer, and writes it whenever it has bytesPerWrite.
func (a *appender) put(text []byte) error {
	for len(text) > 0 {
		if len(a.buffer) == bytesPerWrite {
			if err := a.write(false); err != nil {
				return err
			}
		}
		n := min(len(text), bytesPerWrite-len(a.buffer))
		a.grow(n)
		a.buffer = append(a.buffer, text[:n]...)
		text = text[n:]
	}
	return nil
}

// grow makes the buffer large enough for n more bytes, rounded up to maxAlignment.
func (a *appender) grow(n int) {
	size := roundUp(len(a.buffer)+n, maxAlignment)
	if size <= cap(a.buffer) {
		return
	}
	larger := aligned(make([]byte, min(max(size, 2*cap(a.buffer)), bytesPerWrite)+maxAlignment))
	a.buffer = larger[:copy(larger, a.buffer)]
}

// flush writes the buffered bytes as a commit. If synced, it returns when they are on stable
// storage, at the path that the next start reads.
func (a *appender) flush(synced bool) error {
	if err := a.write(synced); err != nil {
		return err
	}
	a.size = a.offset + int64(len(a.buffer))
	if !synced {
		return nil
	}
	return a.file.Check()
}

// write writes the buffer, with zeros up to the alignment, and keeps the last unit unless it is
// complete.
func (a *appender) write(synced bool) (err error) {
	used, unit := len(a.buffer), a.file.Alignment()
	padded := a.buffer[:roundUp(used, unit)]
	clear(padded[used:])
	if synced {
		err = a.file.WriteSynced(padded, a.offset)
	} else {
		_, err = a.file.WriteAt(padded, a.offset)
	}
	if err != nil {
		return err
	}
	whole := used / unit * unit
	a.offset += int64(whole)
	a.buffer = a.buffer[:copy(a.buffer, a.buffer[whole:])]
	return nil
}

// check returns an error, and ends the segment, if the file is no longer at its path.
func (a *appender) check() error {
	if a.segment == nil {
		return nil
	}
	err := a.file.Check()
	if err != nil {
		a.abandon()
	}
	return err
}

// seal writes the footer of the segment, which is then to be ended. If that fails, the next
// start reads the records of the segment.
func (a *appender) seal() {
	if text := a.footer.record(); len(text) > 0 && a.put(text) == nil {
		_ = a.flush(true)
	}
}

// close syncs and ends the segment; no other segment is begun afterwards.
func (a *appender) close() error {
	defer a.files.Close()
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

// abandon ends the segment after its last commit, when a write has failed. If the truncation
// fails as well, the header of the next segment invalidates the bytes after that.
func (a *appender) abandon() {
	if a.segment != nil {
		_ = a.finish()
	}
}

// aligned returns the part of b whose address is a multiple of maxAlignment. It is maxAlignment
// bytes shorter.
func aligned(b []byte) []byte {
	past := int(reflect.ValueOf(b).Pointer() % maxAlignment)
	return b[maxAlignment-past:][:len(b)-maxAlignment]
}

// roundUp returns the least multiple of unit, a power of two, that is not less than n.
func roundUp[T int | int64](n, unit T) T { return (n + unit - 1) &^ (unit - 1) }
