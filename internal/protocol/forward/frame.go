package forward

import "errors"

// errFrame is the error for a value that is well-formed but no message of the protocol.
var errFrame = errors.New("the data is no message of the Forward protocol")

// frame is a message of the protocol with events. Its parts are parts of the data.
type frame struct {
	tag []byte
	// entries are encoded events, one after the other, each an array of time and record; in
	// Message mode they are the time and the record alone.
	entries []byte
	single  bool // Message mode
	options
}

// options are the options of a frame. Missing options are empty.
type options struct {
	chunk      []byte
	compressed []byte
	size       int  // announced events
	signal     bool // the events are no logs (Fluent Bit's metrics and traces)
}

// parseFrame parses a complete value. Without a frame and an error the value is to be ignored.
func parseFrame(data []byte) (*frame, error) {
	h, _ := parseHead(data, 0)
	if h.kind == kindNil {
		return nil, nil
	}
	if h.kind != kindArray || h.size < 2 {
		return nil, errFrame
	}
	f := &frame{}
	if f.tag = text(data, h.next); f.tag == nil {
		return nil, errFrame
	}
	second := skip(data, h.next)
	end, left := skip(data, second), h.size-2
	switch events, _ := parseHead(data, second); events.kind {
	case kindArray, kindStr, kindBin:
		f.entries = data[events.next:end]
	default:
		if left < 1 {
			return nil, errFrame
		}
		end, left = skip(data, end), left-1
		f.entries, f.single = data[second:end], true
	}
	if left > 0 {
		f.parseOptions(data, end)
	}
	return f, nil
}

// parseOptions parses the options; it ignores unknown options, and a value that is no map.
func (f *frame) parseOptions(data []byte, at int) {
	h, _ := parseHead(data, at)
	if h.kind != kindMap {
		return
	}
	at = h.next
	for range h.size {
		name := text(data, at)
		at = skip(data, at)
		value, _ := parseHead(data, at)
		switch string(name) {
		case "chunk":
			if f.chunk = text(data, at); len(f.chunk) == 0 {
				f.chunk = nil
			}
		case "compressed":
			f.compressed = text(data, at)
		case "size":
			if value.kind == kindInt {
				f.size = int(min(value.number, 1<<20))
			}
		case "fluent_signal":
			f.signal = value.kind != kindInt || value.number != 0
		}
		at = skip(data, at)
	}
}

// events estimates the number of events, for the counter of lost events.
func (f *frame) events() int { return max(f.size, 1) }
