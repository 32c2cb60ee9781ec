package emitter

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// span is the location of a packet in a file, with the state that its bytes depend on, so that the
// packet can be made again with the same bytes after a restart.
type span struct {
	position
	End int64 `json:"end"`
	// Now is the time of reading in milliseconds, for lines that have none.
	Now int64 `json:"now"`
	// done is set when the packet is completed; any goroutine may set it.
	done atomic.Bool
}

// tail is a followed file. The producing goroutine uses it.
type tail struct {
	state  *fileState
	file   *os.File
	info   os.FileInfo // of file, for os.SameFile
	parser parser
	// size is the number of messages of the next packet, 0 until it is drawn.
	size int
	// seen is the file's size at the latest read, and nextPoll the time at which the file is read
	// again even if it has not grown: zero is never.
	seen     int64
	modified time.Time // the file's state at the latest read
	nextPoll time.Time
	failing  bool // the file could not be read further
	// waiting is the time since which complete lines have waited for more, grown the time at which
	// the file grew last, and gone the time since which no path names the file; zero otherwise.
	waiting, grown, gone time.Time
}

// hasChanged reports whether a file was written since the latest read.
func (t *tail) hasChanged(info os.FileInfo) bool {
	return info.Size() != t.seen || !info.ModTime().Equal(t.modified)
}

// isTruncated reports whether a file of that size does not begin with the bytes that were read.
func (t *tail) isTruncated(size int64) bool {
	return size < t.state.Offset || t.state.Fingerprint.differs(t.file)
}

// section is the part of a file that is read. It ends with errNoData for a file that may grow.
type section struct {
	*io.SectionReader
	end error
	// failure is the reason why the file could not be read further; the reader of lines gets
	// errNoData instead, so that the error does not end a line.
	failure error
}

func newSection(file io.ReaderAt, offset, limit int64, end error) *section {
	return &section{SectionReader: io.NewSectionReader(file, offset, limit-offset), end: end}
}

func (s *section) Read(p []byte) (int, error) {
	n, err := s.SectionReader.Read(p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		err = s.end
	default:
		s.failure, err = err, errNoData
	}
	return n, err
}

func (*section) Close() error           { return nil }
func (*section) ready() <-chan struct{} { return nil }

// flush determines which of the unfinished lines at the end of a file become part of a packet.
type flush int

const (
	completeRecords flush = iota
	completeLines         // also a record that may continue
	everything            // also an unfinished line
)

// maxSpan bounds the bytes of a file that are read for one packet.
const maxSpan = 32 << 20

// packetizer makes packets of spans. Not for concurrent use.
type packetizer struct {
	lines *fileSource // its input is set for each packet
}

// cut fills p with a packet of at most size messages that begins at s, of the bytes up to limit,
// and sets s.End. It returns the position after the packet, which is that of s if there is no
// packet, whether the packet is full, and the reason why the file could not be read up to limit.
func (c packetizer) cut(t *tail, s *span, limit int64, size int, how flush, p *outgoing) (next position, full bool, failure error) {
	l := c.lines
	in := newSection(t.file, s.Offset, limit, errNoData)
	if how == everything {
		in.end = io.EOF
	}
	buffer := l.records.lines.buffer[:0]
	if cap(buffer) > maxPooledBytes {
		buffer = nil
	}
	l.records = newRecordReader(in, l.records.firstLine)
	l.records.lines.buffer, l.records.lines.discarding = buffer, s.MidLine
	l.parser = t.parser
	l.parser.last = s.Last
	l.parser.now = func() time.Time { return time.UnixMilli(s.Now) }
	l.envelope.runID, l.envelope.sequence = t.state.ID, s.Offset-1
	full = c.fill(size, how, p)
	s.End = s.Offset + l.records.end
	next = position{Offset: s.End, Last: l.parser.last}
	if r := &l.records.lines; l.records.end == r.position || p.messages == 0 && r.discarding && !l.records.pending() {
		next.Offset, next.MidLine = s.Offset+r.position, r.discarding
	}
	if p.messages > 0 && p.emitterID == "" {
		l.envelope.close(p)
	}
	return next, full, in.failure
}

// fill adds records to p until it is full or there are no more.
func (c packetizer) fill(size int, how flush, p *outgoing) (full bool) {
	l := c.lines
	for p.messages < size && len(p.body) < flushBytes && l.records.end < maxSpan {
		before := l.records.end
		record, err := l.records.next()
		if err != nil {
			if how == completeRecords || !l.records.pending() {
				return false
			}
			record, _ = l.records.take()
		}
		l.add(p, record)
		switch {
		case l.pending == nil:
		case p.messages == 0:
			l.takeReady(p)
			return true
		default: // a line that is a packet is not added to another packet
			l.pending, l.records.end = nil, before
			return true
		}
	}
	return true
}

// limit returns the position up to which a file is read.
func (t *tail) limit() int64 { return max(t.seen, t.state.Offset) }
