//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strings"
)

// requestRecords is the number of records in a request of the cases of inputs.
const requestRecords = 500

// recordFormat encodes the log records that a subject gets, and decodes those that it sends. The
// text of each record begins with an id; the rest of the record is determined by its index in the
// request. For the ledger each record is a packet.
type recordFormat struct {
	// input is the name, in INPUTS, of an input with a port of its own; empty for a protocol
	// over HTTP on PORT.
	input string
	// head is the head of a request over HTTP up to its Content-Length, or empty.
	head string
	// build appends the body of a request, with the offsets of its ids.
	build func(*request)
	// compress appends the body as it is sent; nil sends it as it is.
	compress func(dst, body []byte) []byte
	// response parses a response that is not of HTTP.
	response func([]byte) (message, bool, error)
	// confirm, unless nil, checks a response to a request.
	confirm func(*request, message) error
	// oneWay means that there are no responses: a request is accepted when it is written.
	oneWay bool
	recordOutput
}

// recordOutput decodes the records that a subject sends to analyzers.
type recordOutput struct {
	// scheme is the prefix of the URLs of analyzers.
	scheme string
	// arrived records what an analyzer got in a request, or lines of a stream that is not HTTP.
	arrived func(body []byte, l *ledger)
	// taken is the response of analyzers to a request.
	taken []byte
}

// to returns the format with another output.
func (f *recordFormat) to(output recordOutput) *recordFormat {
	g := *f
	g.recordOutput = output
	return &g
}

// at returns the format with another path of its requests over HTTP.
func (f *recordFormat) at(path string) *recordFormat {
	g := *f
	_, rest, _ := strings.Cut(strings.TrimPrefix(f.head, "POST "), " ")
	g.head = "POST " + path + " " + rest
	return &g
}

// recordBody is what the text of a record has behind its id.
func recordBody(n int) string {
	return fmt.Sprintf(" GET /orders/%05d done in %3d ms for tenant-%02d, 4711 bytes were sent", 10_000+n, n%900+100, n%90)
}

var recordLevels = [...]string{"INFO", "DEBUG", "INFO", "WARN", "ERROR"}

func recordLevel(n int) string { return recordLevels[n%len(recordLevels)] }

// addID appends a placeholder for an id to the body.
func (r *request) addID() {
	r.ids = append(r.ids, len(r.body))
	r.body = append(r.body, noID...)
}

// moveIDs moves the positions of all ids by bytes that were inserted before them.
func (r *request) moveIDs(by int) {
	for i := range r.ids {
		r.ids[i] += by
	}
}

func newRecordRequest(f *recordFormat) *request {
	r := &request{packets: requestRecords, format: f, head: f.head, compress: f.compress}
	f.build(r)
	if f.compress == nil {
		r.bytes = append(r.appendHead(nil, len(r.body)), r.body...)
		r.body = r.bytes[len(r.bytes)-len(r.body):]
	}
	return r
}

// parse parses a response to the request.
func (r *request) parse(b []byte) (message, bool, error) {
	if r.format != nil && r.format.response != nil {
		return r.format.response(b)
	}
	return parseMessage(b)
}

// confirm checks a response that the request is accepted.
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

// recordTexts is how records arrive: each consists of before, an id and after.
type recordTexts struct {
	before, after [requestRecords][]byte
}

func newRecordTexts(record func(n int) (before, after string)) *recordTexts {
	t := &recordTexts{}
	for n := range requestRecords {
		before, after := record(n)
		t.before[n], t.after[n] = []byte(before), []byte(after)
	}
	return t
}

// take records a record with its id at an offset.
func (t *recordTexts) take(record []byte, at int, l *ledger) {
	id, ok := parseID(record[at:])
	if ok && l.known(id) {
		n := l.index(id)
		ok = bytes.Equal(record[:at], t.before[n]) && bytes.Equal(record[at+idDigits:], t.after[n])
	}
	l.record(id, ok)
}

// packetRecords returns how packets with records arrive, where a record is a message.
func packetRecords(emitter string, message func(n int) (before, after string)) recordOutput {
	p := &packetReader{head: []byte(`{"emitter_id":"` + emitter + `","messages":[`), recordTexts: newRecordTexts(message)}
	return recordOutput{arrived: p.arrived, taken: taken}
}

// packetReader reads messages of packets.
type packetReader struct {
	head []byte
	*recordTexts
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
