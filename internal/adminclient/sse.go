package adminclient

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"time"
)

// maxEventBytes bounds one event of a stream.
const maxEventBytes = 8 << 20

// defaultType is the type of an event without one.
const defaultType = "message"

// Event is a server-sent event.
type Event struct {
	ID, Type string
	Data     []byte
}

// eventReader reads a stream of events as the HTML standard defines it.
type eventReader struct {
	lines *bufio.Scanner
	begun bool // a byte order mark is skipped at the beginning only
	// id is the last id that was read, and retry the last delay that the server requested.
	id    string
	retry time.Duration
}

func newEventReader(r io.Reader, id string) *eventReader {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEventBytes)
	lines.Split(splitLines)
	return &eventReader{lines: lines, id: id}
}

// next returns the next event that has data.
func (r *eventReader) next() (Event, error) {
	event, hasData, size := Event{Type: defaultType}, false, 0
	for r.lines.Scan() {
		line := r.lines.Bytes()
		if !r.begun {
			line, r.begun = bytes.TrimPrefix(line, []byte("\ufeff")), true
		}
		if size += len(line); size > maxEventBytes {
			return Event{}, fmt.Errorf("an event of more than %d bytes", maxEventBytes)
		}
		if len(line) == 0 {
			if hasData {
				event.ID = r.id
				return event, nil
			}
			event, size = Event{Type: defaultType}, 0
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			event.Type = cmp.Or(string(value), defaultType)
		case "data":
			if hasData {
				event.Data = append(event.Data, '\n')
			}
			event.Data, hasData = append(event.Data, value...), true
		case "id":
			if !bytes.ContainsRune(value, 0) {
				r.id = string(value)
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				r.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
	if err := r.lines.Err(); err != nil {
		return Event{}, err
	}
	return Event{}, io.EOF
}

// splitLines splits at CR LF, LF and CR. A CR at the end of the data may be half of a CR LF:
// its line ends with the next byte.
func splitLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0 && atEOF:
		return len(data), nil, nil // an event without its end is none
	case i < 0:
		return 0, nil, nil
	case data[i] == '\n':
		return i + 1, data[:i], nil
	case i+1 < len(data) && data[i+1] == '\n':
		return i + 2, data[:i], nil
	case i+1 < len(data) || atEOF:
		return i + 1, data[:i], nil
	default:
		return 0, nil, nil
	}
}
