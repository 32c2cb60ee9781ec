//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strconv"
)

// idDigits is the fixed length of a packet id, so that ids can be written into
// prebuilt requests.
const idDigits = 12

// noID is in place of an id that is not assigned.
var noID = []byte("############")

// traffic is the shape of the load's packets and requests.
type traffic struct {
	// PacketMessages is the number of messages in a packet.
	PacketMessages int
	// RequestPackets is the number of packets in a request; several are sent as
	// NDJSON.
	RequestPackets int
	// OTLP selects OTLP/JSON: one resource, and one log record per message.
	OTLP bool
	// Traced gives each request a traceparent of its own.
	Traced bool
	// Signed gives each message a signature of 128 hexadecimal digits, which takes long to decompress.
	Signed bool
	// Encoding, unless nil, compresses the bodies of requests, which have one packet.
	Encoding *encoding
	// Records, unless nil, replaces packets by records of another protocol.
	Records *recordFormat
}

func (t traffic) path() string {
	if t.OTLP {
		return "/v1/logs"
	}
	return "/ingest"
}

// packetText is the encoding of all packets of one size; only their ids differ.
type packetText struct {
	before, after []byte
	messages      int
	records       *recordFormat // nil for packets
}

// packetTemplate is how a format encodes a packet. The arguments of message are
// its timestamp in milliseconds, its level, its text and its host.
type packetTemplate struct{ before, afterID, message, end string }

var packetFormat = packetTemplate{
	before:  `{"emitter_id":"bench","packet_id":"`,
	afterID: `","messages":[`,
	message: `{"timestamp":%d,"level":%q,"message":%q,"metadata":{"service":"shop","host":%q}}`,
	end:     `]}`,
}

// The members of otlpFormat are in the collector's order.
var otlpFormat = packetTemplate{
	before: `{"resourceLogs":[{"resource":{"attributes":[{"key":"emitter_id","value":{"stringValue":"bench"}},` +
		`{"key":"packet_id","value":{"stringValue":"`,
	afterID: `"}}]},"scopeLogs":[{"scope":{},"logRecords":[`,
	message: `{"timeUnixNano":"%d000000","severityText":%q,"body":{"stringValue":%q},"attributes":[` +
		`{"key":"service","value":{"stringValue":"shop"}},{"key":"host","value":{"stringValue":%q}}]}`,
	end: `]}]}]}`,
}

// newPacketText returns packets with messages of about 154 bytes each in the
// contract's format.
func newPacketText(t traffic) *packetText {
	if t.Records != nil {
		return &packetText{messages: 1, records: t.Records}
	}
	format := packetFormat
	if t.OTLP {
		format = otlpFormat
	}
	text := bytes.NewBufferString(format.afterID)
	levels := []string{"INFO", "DEBUG", "INFO", "WARN", "ERROR"}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range t.PacketMessages {
		if i > 0 {
			text.WriteByte(',')
		}
		message := fmt.Sprintf("GET /orders/%05d done in %3d ms for tenant-%02d", 10_000+i, i%900+100, i%90)
		if t.Signed {
			message += " signature="
			for range 8 {
				message += fmt.Sprintf("%016x", random.Uint64())
			}
		}
		fmt.Fprintf(text, format.message, 1640995200000+int64(i), levels[i%len(levels)], message, fmt.Sprintf("web-%02d", i%20))
	}
	text.WriteString(format.end)
	return &packetText{before: []byte(format.before), after: text.Bytes(), messages: t.PacketMessages}
}

// size is the length of each packet in bytes.
func (t *packetText) size() int { return len(t.before) + idDigits + len(t.after) }

// id returns a packet's id, and false when its bytes differ from those sent.
func (t *packetText) id(body []byte) (int64, bool) {
	if len(body) != t.size() || !bytes.HasPrefix(body, t.before) || !bytes.HasSuffix(body, t.after) {
		return 0, false
	}
	return parseID(body[len(t.before):])
}

// request is an encoded request that is reused with new ids. Each connection
// has its own.
type request struct {
	bytes   []byte
	body    []byte // which has the ids; that of packets begins with the head
	ids     []int  // offsets of the ids in the body
	trace   int    // offset of the part of the traceparent that is the first id; 0 for none
	packets int

	format *recordFormat // nil for packets
	chunk  int           // offset of another place of the first id, or 0

	head       string // up to the Content-Length; empty without HTTP
	compress   func(dst, body []byte) []byte
	compressed []byte

	summed, sum int // offsets of the text with the id and of its CRC-32, or 0
}

func newRequest(t traffic, text *packetText) *request {
	if t.Records != nil {
		return newRecordRequest(t.Records)
	}
	kind, length := "application/json", text.size()
	if t.RequestPackets > 1 {
		kind, length = "application/x-ndjson", t.RequestPackets*(text.size()+1)
	}
	r := &request{packets: t.RequestPackets, head: "POST " + t.path() + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: " + kind + "\r\n"}
	if t.Encoding != nil {
		r.head += "Content-Encoding: " + t.Encoding.name + "\r\n"
		r.encode(t.Encoding, text)
		return r
	}
	r.bytes = append(r.bytes, r.head+"Content-Length: "+strconv.Itoa(length)...)
	if t.Traced {
		r.bytes = append(r.bytes, "\r\nTraceparent: 00-0af7651916cd43dd8448"...)
		r.trace = len(r.bytes)
		r.bytes = append(r.bytes, "000000000000-b7ad6b7169203331-01"...)
	}
	r.bytes = append(r.bytes, "\r\n\r\n"...)
	for range t.RequestPackets {
		r.bytes = append(r.bytes, text.before...)
		r.ids = append(r.ids, len(r.bytes))
		r.bytes = append(r.bytes, noID...)
		r.bytes = append(r.bytes, text.after...)
		if t.RequestPackets > 1 {
			r.bytes = append(r.bytes, '\n')
		}
	}
	r.body = r.bytes
	return r
}

// encode makes the body two members or frames. The first has the id and is not compressed, so that the
// load only writes the id and its checksum for each request: a load that compresses is slower than
// what is measured.
func (r *request) encode(coding *encoding, text *packetText) {
	start := slices.Concat(text.before, noID)
	first, rest := coding.store(start), coding.compress(nil, text.after)
	r.bytes = slices.Concat(r.appendHead(nil, len(first)+len(rest)), first, rest)
	r.body = r.bytes
	r.summed = bytes.Index(r.bytes, start)
	r.ids = []int{r.summed + len(text.before)}
	if coding.summed {
		r.sum = r.summed + len(start)
	}
}

// assignIDs gives the packets the ids from first on.
func (r *request) assignIDs(first int64) {
	for i, at := range r.ids {
		r.writeID(at, first+int64(i))
	}
	if r.trace > 0 {
		r.writeID(r.trace, first)
	}
	if r.chunk > 0 {
		r.writeID(r.chunk, first)
	}
	r.seal()
}

// appendHead appends the head of a request with a body of that length.
func (r *request) appendHead(dst []byte, length int) []byte {
	if r.head == "" {
		return dst
	}
	dst = append(append(dst, r.head...), "Content-Length: "...)
	return append(strconv.AppendInt(dst, int64(length), 10), "\r\n\r\n"...)
}

// seal encodes the request with its new ids.
func (r *request) seal() {
	if r.sum > 0 {
		binary.LittleEndian.PutUint32(r.bytes[r.sum:], crc32.ChecksumIEEE(r.bytes[r.summed:r.sum]))
	}
	if r.compress == nil {
		return
	}
	r.compressed = r.compress(r.compressed[:0], r.body)
	r.bytes = append(r.appendHead(r.bytes[:0], len(r.compressed)), r.compressed...)
}

func (r *request) writeID(at int, id int64) {
	for digit := at + idDigits - 1; digit >= at; digit-- {
		r.body[digit] = byte('0' + id%10)
		id /= 10
	}
}
