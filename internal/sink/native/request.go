package native

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/tracelist"
)

const (
	userAgent  = "logstreamer"
	jsonType   = "application/json"
	ndjsonType = "application/x-ndjson"
)

var newline = []byte{'\n'}

// request writes HTTP/1.1 requests to one analyzer without copying bodies. It reuses its
// buffers and is not safe for concurrent use.
type request struct {
	host   string
	path   string
	ndjson bool // several packets, as application/x-ndjson

	head      []byte
	parts     [][]byte
	buffers   net.Buffers
	remaining net.Buffers   // of buffers, not yet written
	joined    *bufio.Writer // joins parts for TLS; nil until it is needed
	id        []byte
	traces    []byte
}

func newRequest(base *url.URL, path string) *request {
	return &request{host: base.Host, path: strings.TrimSuffix(base.EscapedPath(), "/") + path}
}

// prepareGet makes r a GET request.
func (r *request) prepareGet() {
	r.head = append(r.head[:0], "GET "...)
	r.appendCommon()
	r.head = append(r.head, "\r\n"...)
	r.parts = append(r.parts[:0], r.head)
}

// preparePost makes r a POST request with one packet as JSON, or several as NDJSON. The
// bodies must not change until the request is written.
func (r *request) preparePost(packets []*packet.Packet) {
	contentType := jsonType
	if r.ndjson = len(packets) > 1; r.ndjson {
		contentType = ndjsonType
	}
	r.parts = append(r.parts[:0], nil) // placeholder of the head
	length := 0
	for _, p := range packets {
		if !r.ndjson {
			r.parts = append(r.parts, p.Body)
			length += len(p.Body)
			continue
		}
		line, ended := p.Line()
		r.parts = append(r.parts, line)
		length += len(line)
		if !ended {
			r.parts = append(r.parts, newline)
			length++
		}
	}
	r.head = append(r.head[:0], "POST "...)
	r.appendCommon()
	r.head = append(r.head, "Content-Type: "...)
	r.head = append(r.head, contentType...)
	r.head = append(r.head, "\r\nContent-Length: "...)
	r.head = strconv.AppendInt(r.head, int64(length), 10)
	if len(packets) == 1 {
		r.head = append(r.head, "\r\nIdempotency-Key: "...)
		r.appendKey(packets[0])
	}
	r.appendTraces(packets)
	r.head = append(r.head, "\r\n\r\n"...)
	r.parts[0] = r.head
}

// appendTraces appends the header Traceparent if all packets have the same, and Traceparents
// if they differ.
func (r *request) appendTraces(packets []*packet.Packet) {
	r.traces = r.traces[:0]
	for first, last := 0, 0; first < len(packets); first = last {
		trace := packets[first].Traceparent
		for last < len(packets) && packets[last].Traceparent == trace {
			last++
		}
		switch {
		case trace == "":
		case last-first == len(packets):
			r.head = append(r.head, "\r\nTraceparent: "...)
			r.head = append(r.head, trace...)
		default:
			r.traces = tracelist.Append(r.traces, first+1, last, trace)
		}
	}
	if len(r.traces) > 0 {
		r.head = append(r.head, "\r\n"+tracelist.Header+": "...)
		r.head = append(r.head, r.traces...)
	}
}

// joinedBytes bounds what is joined for one write with TLS: four records.
const joinedBytes = 64 << 10

// writeTo writes the request with as few system calls as possible.
func (r *request) writeTo(conn net.Conn) error {
	if _, encrypted := conn.(*tls.Conn); encrypted {
		return r.writeJoined(conn)
	}
	r.buffers = append(r.buffers[:0], r.parts...)
	r.remaining = r.buffers // WriteTo consumes its receiver
	_, err := r.remaining.WriteTo(conn)
	return err
}

// writeJoined copies parts together, since each write to a TLS connection is a record.
func (r *request) writeJoined(conn io.Writer) error {
	if r.joined == nil {
		r.joined = bufio.NewWriterSize(nil, joinedBytes)
	}
	r.joined.Reset(conn)
	for _, part := range r.parts {
		if _, err := r.joined.Write(part); err != nil {
			return err
		}
	}
	return r.joined.Flush()
}

func (r *request) appendCommon() {
	r.head = append(r.head, r.path...)
	r.head = append(r.head, " HTTP/1.1\r\nHost: "...)
	r.head = append(r.head, r.host...)
	r.head = append(r.head, "\r\nUser-Agent: "+userAgent+"\r\n"...)
}

// appendKey appends <emitter_id>/<packet_id>, percent-encoded.
func (r *request) appendKey(p *packet.Packet) {
	r.id = p.EmitterID.AppendDecoded(r.id[:0], p.Body)
	r.head = appendPercentEncoded(r.head, r.id)
	r.head = append(r.head, '/')
	r.id = p.PacketID.AppendDecoded(r.id[:0], p.Body)
	r.head = appendPercentEncoded(r.head, r.id)
}

// appendPercentEncoded appends text with all characters but the unreserved ones of RFC 3986 encoded.
func appendPercentEncoded(dst, text []byte) []byte {
	const digits = "0123456789ABCDEF"
	plain := 0 // start of the pending unreserved characters
	for i, c := range text {
		if unreserved[c] {
			continue
		}
		dst = append(append(dst, text[plain:i]...), '%', digits[c>>4], digits[c&15])
		plain = i + 1
	}
	return append(dst, text[plain:]...)
}

var unreserved = func() (is [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~" {
		is[c] = true
	}
	return is
}()
