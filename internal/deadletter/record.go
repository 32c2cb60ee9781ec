package deadletter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// State is what was done with a stored dead letter. Deleted ones are not shown.
type State string

// The states.
const (
	// Stored: the packet was not replayed.
	Stored State = "stored"
	// Replayed: the journal has accepted the packet again.
	Replayed State = "replayed"
)

// Record is a stored dead letter without its packet's body.
type Record struct {
	// ID names the file and the position in it. It does not change while the file
	// exists, across restarts either.
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Analyzer  string    `json:"analyzer"`
	Reason    string    `json:"reason"`
	Detail    string    `json:"detail"`
	EmitterID string    `json:"emitter_id"`
	PacketID  string    `json:"packet_id"`
	Messages  int       `json:"messages"`
	Bytes     int       `json:"bytes"` // of the body
	State     State     `json:"state"`
}

// position is the place of a line: the name of a file in the directory, and an offset.
type position struct {
	file   string
	offset int64
}

const (
	filePrefix = "dead-letter-"
	fileSuffix = ".ndjson"
)

// id returns the text of a Record.ID.
func (p position) id() string {
	return strings.TrimSuffix(strings.TrimPrefix(p.file, filePrefix), fileSuffix) + "-" + strconv.FormatInt(p.offset, 10)
}

// parseID returns the position that an id names. The file is none of another directory.
func parseID(id string) (position, error) {
	dash := strings.LastIndexByte(id, '-')
	if dash < 0 {
		return position{}, &IDError{id}
	}
	p := position{file: filePrefix + id[:dash] + fileSuffix}
	offset, err := strconv.ParseUint(id[dash+1:], 10, 32)
	if p.offset = int64(offset); err != nil || filepath.Base(p.file) != p.file || p.id() != id {
		return position{}, &IDError{id}
	}
	return p, nil
}

// before reports whether p is in front of q in the order of listings: by file, oldest
// first, then by offset.
func (p position) before(q position) bool {
	return p.file < q.file || p.file == q.file && p.offset < q.offset
}

// IDError reports that a text is no id of a dead letter.
type IDError struct{ ID string }

func (e *IDError) Error() string {
	return fmt.Sprintf("%q is no id of a dead letter: an id is the name of a file, '-' and an offset, such as 20060102T150405.000000000-0", e.ID)
}

// NotFoundError reports that there is no dead letter with an id, or no longer.
type NotFoundError struct{ ID string }

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("there is no dead letter with the id %q (the oldest files are removed because of the limit on files)", e.ID)
}

// maxHeaderBytes bounds what stands before the packet in a line: the detail of a
// rejection comes from a response of at most 1 MiB.
const maxHeaderBytes = 8 << 20

var errNoDeadLetter = errors.New("the line is no dead letter")

// line is a line of a file. Its slices are valid until the next line is read.
type line struct {
	position
	text []byte // without the line break
	sum  uint32 // of text, once there is a mark for the line
	mark markState
}

// split returns the members before the packet, and the packet.
func (l *line) split() (h header, body []byte, err error) {
	const separator = `,"packet":` // not in a string: its quotes would be escaped
	at := bytes.Index(l.text[:min(len(l.text), maxHeaderBytes)], []byte(separator))
	if at < 0 || l.text[len(l.text)-1] != '}' {
		return h, nil, errNoDeadLetter
	}
	body = l.text[at+len(separator) : len(l.text)-1]
	object := append(bytes.Clone(l.text[:at]), '}')
	if err := json.Unmarshal(object, &h); err != nil {
		return h, nil, errNoDeadLetter
	}
	return h, body, nil
}

// parse returns the record of the line and its packet, which is valid as long as the
// line is.
func (l *line) parse() (Record, *storedPacket, error) { return l.record(l.split()) }

// record is parse with the result of split.
func (l *line) record(h header, body []byte, err error) (Record, *storedPacket, error) {
	if err != nil {
		return Record{}, nil, err
	}
	info, err := packet.Recheck(body, math.MaxInt32)
	if err != nil {
		return Record{}, nil, errNoDeadLetter
	}
	return Record{
		ID: l.id(), Time: h.Time, Analyzer: h.Analyzer, Reason: h.Reason, Detail: h.Detail,
		EmitterID: string(info.EmitterID.AppendDecoded(nil, body)),
		PacketID:  string(info.PacketID.AppendDecoded(nil, body)),
		Messages:  info.Messages, Bytes: len(body), State: l.mark.state(),
	}, &storedPacket{body, info}, nil
}

// storedPacket is the packet of a line.
type storedPacket struct {
	body []byte
	info packet.Info
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf returns the checksum by which a mark identifies its line.
func sumOf(text []byte) uint32 { return crc32.Checksum(text, castagnoli) }
