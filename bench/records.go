//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// requestRecords is the number of records in a request of the cases of inputs.
const requestRecords = 500

// recordFormat is the way of log records into a subject and out of it. The text of each record
// begins with an id; the rest of the record is determined by its index in the request. For the
// ledger each record is a packet.
type recordFormat struct {
	// input is the name in INPUTS; empty for a protocol over HTTP on PORT.
	input string
	// scheme is the prefix of the URLs of analyzers.
	scheme string
	// head is the head of a request over HTTP up to its Content-Length, or empty.
	head string
	// build appends the body of a request, with the offsets of its ids.
	build func(*request)
	// compress appends the body as it is sent; nil sends it as it is.
	compress func(dst, body []byte) []byte
	// answer parses an answer that is not of HTTP.
	answer func([]byte) (message, bool, error)
	// confirm, unless nil, checks an answer to a request.
	confirm func(*request, message) error
	// oneWay means that there are no answers: a request is accepted when it is written.
	oneWay bool
	// arrived records what an analyzer got in a request.
	arrived func(body []byte, l *ledger)
	// taken is the answer of analyzers.
	taken []byte
}

// recordBody is what the text of a record has behind its id.
func recordBody(n int) string {
	return fmt.Sprintf(" GET /orders/%05d done in %3d ms for tenant-%02d, 4711 bytes were sent", 10_000+n, n%900+100, n%90)
}

var recordLevels = [...]string{"INFO", "DEBUG", "INFO", "WARN", "ERROR"}

func recordLevel(n int) string { return recordLevels[n%len(recordLevels)] }

// addID appends the room of an id to the body.
func (r *request) addID() {
	r.ids = append(r.ids, len(r.body))
	r.body = append(r.body, "000000000000"...)
}

// moveIDs notes that so many bytes were inserted before all ids.
func (r *request) moveIDs(by int) {
	for i := range r.ids {
		r.ids[i] += by
	}
}

func newRecordRequest(f *recordFormat) *request {
	r := &request{packets: requestRecords, format: f}
	f.build(r)
	if f.compress == nil {
		r.bytes = append(f.appendHead(nil, len(r.body)), r.body...)
		r.body = r.bytes[len(r.bytes)-len(r.body):]
	}
	return r
}

func (f *recordFormat) appendHead(dst []byte, length int) []byte {
	if f.head == "" {
		return dst
	}
	dst = append(append(dst, f.head...), "Content-Length: "...)
	return append(strconv.AppendInt(dst, int64(length), 10), "\r\n\r\n"...)
}

// seal encodes the request with its new ids.
func (r *request) seal() {
	if r.format == nil || r.format.compress == nil {
		return
	}
	r.compressed = r.format.compress(r.compressed[:0], r.body)
	r.bytes = append(r.format.appendHead(r.bytes[:0], len(r.compressed)), r.compressed...)
}

// parse parses an answer to the request.
func (r *request) parse(b []byte) (message, bool, error) {
	if r.format != nil && r.format.answer != nil {
		return r.format.answer(b)
	}
	return parseMessage(b)
}

// confirm checks an answer that the request is accepted.
func (r *request) confirm(m message) error {
	if r.format != nil && r.format.confirm != nil {
		return r.format.confirm(r, m)
	}
	return nil
}

// parseID parses the digits of an id.
func parseID(digits []byte) (id int64, ok bool) {
	if len(digits) < idDigits {
		return 0, false
	}
	for _, c := range digits[:idDigits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		id = id*10 + int64(c-'0')
	}
	return id, true
}

// index returns the index of a record in its request.
func (l *ledger) index(id int64) int {
	return int((id - l.first) % requestRecords)
}

// known reports whether a record was sent in this round.
func (l *ledger) known(id int64) bool { return id >= l.first && id < l.next }

// packetRecords returns how packets with records arrive. A message consists of before, an id and
// after.
func packetRecords(emitter string, message func(n int) (before, after string)) func([]byte, *ledger) {
	p := &packetReader{head: []byte(`{"emitter_id":"` + emitter + `","messages":[`)}
	for n := range requestRecords {
		before, after := message(n)
		p.before[n], p.after[n] = []byte(before), []byte(after)
	}
	return p.arrived
}

// packetReader reads messages of packets.
type packetReader struct {
	head          []byte
	before, after [requestRecords][]byte
}

var startOfText, startOfPacketID = []byte(`"message":"`), []byte(`],"packet_id":"`)

// arrived reads one packet, or several as NDJSON.
func (p *packetReader) arrived(body []byte, l *ledger) {
	for len(body) > 0 {
		var ok bool
		if body, ok = p.packet(body, l); !ok {
			l.damaged++
			return
		}
		body = bytes.TrimPrefix(body, []byte{'\n'})
	}
}

func (p *packetReader) packet(body []byte, l *ledger) (rest []byte, ok bool) {
	if rest, ok = bytes.CutPrefix(body, p.head); !ok {
		return rest, false
	}
	for {
		if rest, ok = p.message(rest, l); !ok {
			return rest, false
		}
		if len(rest) > 0 && rest[0] == ',' {
			rest = rest[1:]
			continue
		}
		if rest, ok = bytes.CutPrefix(rest, startOfPacketID); !ok {
			return rest, false
		}
		_, rest, ok = bytes.Cut(rest, []byte(`"}`))
		return rest, ok
	}
}

func (p *packetReader) message(body []byte, l *ledger) (rest []byte, ok bool) {
	at := bytes.Index(body, startOfText)
	if at < 0 {
		return body, false
	}
	at += len(startOfText)
	id, ok := parseID(body[at:])
	if !ok {
		return body, false
	}
	rest = body[at+idDigits:]
	if !l.known(id) {
		l.record(id, true)
		end := bytes.Index(rest, []byte("}}"))
		return rest[max(end, 0)+2:], end >= 0
	}
	n := l.index(id)
	if !bytes.Equal(body[:at], p.before[n]) || !bytes.HasPrefix(rest, p.after[n]) {
		return body, false
	}
	l.record(id, true)
	return rest[len(p.after[n]):], true
}
