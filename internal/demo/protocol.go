package demo

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/otlp"
)

// protocol is one by which the demo sends.
type protocol struct {
	// input is its name in INPUTS.
	input string
	// path, contentType and encode are those of a protocol over HTTP.
	path, contentType string
	encode            func(messages []numbered) []byte
	// connect, unless nil, returns how requests are sent otherwise.
	connect func(address string) request
	// try is a command that sends a message.
	try string
}

// numbered is a message.
type numbered struct {
	text string
	time time.Time
}

// request sends messages, and returns nil once they are accepted. The same ones are given again
// after an error.
type request interface {
	send(ctx context.Context, messages []numbered) error
	close()
}

// errRefused is a refusal by the distributor.
var errRefused = errors.New("refused")

// protocols are those of the demo. In a command %s is the address.
var protocols = []protocol{
	{input: "otlp-http", path: "/v1/logs", contentType: "application/x-protobuf", encode: encodeOTLP, try: `curl http://%s/v1/logs -H content-type:application/json -d '
    {"resourceLogs": [{"scopeLogs": [{"logRecords":
    [{"body": {"stringValue": "hello"}}]}]}]}'`},
	{input: "loki", path: "/loki/api/v1/push", contentType: "application/json", encode: encodeLoki, try: `curl http://%s/loki/api/v1/push \
    -H content-type:application/json -d '{"streams": [{"stream": {"app": "me"},
    "values": [["'$(date +%%s)000000000'", "hello"]]}]}'`},
	{input: "elasticsearch", path: "/_bulk", contentType: "application/x-ndjson", encode: encodeElasticsearch, try: `curl http://%s/me/_doc -H content-type:application/json \
    -d '{"message": "hello"}'`},
	{input: "hec", path: "/services/collector", contentType: "application/json", encode: encodeHEC, try: `curl http://%s/services/collector -d '{"event": "hello"}'`},
	{input: "forward", connect: func(address string) request { return &forwardRequest{stream: stream{address: address}} },
		try: `printf '\223\242me\0\201\243log\245hello' |
    curl -m1 telnet://%s`},
	{input: "syslog-tcp", connect: func(address string) request { return &syslogRequest{stream{address: address}} },
		try: `echo '<14>me: hello' | curl -m1 telnet://%s`},
}

// httpRequest sends requests over HTTP.
type httpRequest struct {
	protocol protocol
	url      string
	client   *http.Client
}

func newHTTPRequest(p protocol, address string) *httpRequest {
	return &httpRequest{protocol: p, url: "http://" + address + p.path, client: &http.Client{Transport: &http.Transport{}}}
}

func (r *httpRequest) send(ctx context.Context, messages []numbered) error {
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(r.protocol.encode(messages)))
	if err != nil {
		return err
	}
	post.Header.Set("Content-Type", r.protocol.contentType)
	response, err := r.client.Do(post)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%w: %s", errRefused, response.Status)
	}
	return nil
}

func (r *httpRequest) close() { r.client.CloseIdleConnections() }

// object encodes what always can be.
func object(value any) []byte {
	text, _ := json.Marshal(value) // maps, texts and numbers have no errors
	return text
}

type fields map[string]any

func encodeOTLP(messages []numbered) []byte {
	var records []fields
	for _, m := range messages {
		records = append(records, fields{"timeUnixNano": strconv.FormatInt(m.time.UnixNano(), 10), "severityNumber": 9, "body": fields{"stringValue": m.text}})
	}
	service := fields{"attributes": []fields{{"key": "service.name", "value": fields{"stringValue": "shop-otlp"}}}}
	body, _ := otlp.AppendRequest(nil, object(fields{"resourceLogs": []fields{{"resource": service, "scopeLogs": []fields{{"logRecords": records}}}}})) // valid JSON has no errors
	return body
}

func encodeLoki(messages []numbered) []byte {
	var values [][]string
	for _, m := range messages {
		values = append(values, []string{strconv.FormatInt(m.time.UnixNano(), 10), m.text})
	}
	return object(fields{"streams": []fields{{"stream": fields{"app": "shop-loki", "level": "info"}, "values": values}}})
}

func encodeElasticsearch(messages []numbered) (body []byte) {
	for _, m := range messages {
		body = append(body, `{"create":{"_index":"shop-elasticsearch"}}`+"\n"...)
		body = append(append(body, object(fields{"@timestamp": m.time.Format(time.RFC3339Nano), "message": m.text, "log.level": "info"})...), '\n')
	}
	return body
}

func encodeHEC(messages []numbered) (body []byte) {
	for _, m := range messages {
		seconds := float64(m.time.UnixMilli()) / 1000
		body = append(body, object(fields{"time": seconds, "event": m.text, "sourcetype": "shop-hec"})...)
	}
	return body
}

// stream is a connection that is opened again after an error.
type stream struct {
	address string
	conn    net.Conn
}

// open returns the connection, with the deadline of ctx.
func (s *stream) open(ctx context.Context) (_ net.Conn, err error) {
	if s.conn == nil {
		var dialer net.Dialer
		if s.conn, err = dialer.DialContext(ctx, "tcp", s.address); err != nil {
			s.conn = nil
			return nil, err
		}
	}
	deadline, _ := ctx.Deadline() // requests have one
	return s.conn, s.conn.SetDeadline(deadline)
}

func (s *stream) close() {
	if s.conn != nil {
		_ = s.conn.Close() // what was sent is acknowledged, or sent again
		s.conn = nil
	}
}

// syslogRequest writes messages in the format of RFC 5424, with their lengths before them.
// Nothing is answered.
type syslogRequest struct{ stream }

func (r *syslogRequest) send(ctx context.Context, messages []numbered) error {
	conn, err := r.open(ctx)
	if err != nil {
		return err
	}
	var frames []byte
	for _, m := range messages {
		message := fmt.Sprintf("<14>1 %s shop-syslog app %d - - %s", m.time.UTC().Format("2006-01-02T15:04:05.000000Z"), 1, m.text)
		frames = fmt.Appendf(frames, "%d %s", len(message), message)
	}
	if _, err = conn.Write(frames); err != nil {
		r.stream.close()
	}
	return err
}

// close waits until the distributor has read everything, as it acknowledges nothing.
func (r *syslogRequest) close() {
	if conn, isOpen := r.conn.(*net.TCPConn); isOpen && conn.SetDeadline(time.Now().Add(requestTimeout)) == nil && conn.CloseWrite() == nil {
		_, _ = conn.Read(make([]byte, 1)) // ends when the distributor has closed the connection
	}
	r.stream.close()
}

// forwardRequest sends chunks, each of which is acknowledged.
type forwardRequest struct {
	stream
}

func (r *forwardRequest) send(ctx context.Context, messages []numbered) error {
	conn, err := r.open(ctx)
	if err != nil {
		return err
	}
	chunk := fmt.Sprintf("demo-%d-%d", messages[0].time.UnixNano(), len(messages)) // the same when it is sent again
	data := appendText(append([]byte(nil), 0x93), "shop-forward")                  // [tag, entries, options]
	data = binary.BigEndian.AppendUint32(append(data, 0xdd), uint32(len(messages)))
	for _, m := range messages {
		data = append(data, 0x92, 0xd7, 0) // [EventTime, record]
		data = binary.BigEndian.AppendUint32(data, uint32(m.time.Unix()))
		data = binary.BigEndian.AppendUint32(data, uint32(m.time.Nanosecond()))
		data = appendText(appendText(append(data, 0x81), "log"), m.text)
	}
	data = appendText(appendText(append(data, 0x81), "chunk"), chunk)
	want := appendText(appendText([]byte{0x81}, "ack"), chunk)
	response := make([]byte, len(want))
	if _, err = conn.Write(data); err == nil {
		_, err = io.ReadFull(conn, response)
	}
	if err == nil && !bytes.HasSuffix(response, []byte(chunk)) {
		err = fmt.Errorf("%w: the answer is %q", errRefused, response)
	}
	if err != nil {
		r.close()
	}
	return err
}

// appendText appends a string of MessagePack.
func appendText(dst []byte, text string) []byte {
	if len(text) < 32 {
		return append(append(dst, 0xa0|byte(len(text))), text...)
	}
	dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(len(text)))
	return append(dst, text...)
}
