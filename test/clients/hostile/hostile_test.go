// Package hostile sends malformed and malicious data to all inputs of a distributor process: with
// -judge at length.
package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

const (
	memoryLimit = 128 << 20
	// maxMemory is the maximum memory of the process: beside memory in use, it includes garbage
	// that is not collected yet, and the memory of a process without packets.
	maxMemory = 4*memoryLimit + 100<<20
	// bombBytes is the size of decompressed bodies, which is over INPUT_MAX_BODY_BYTES.
	bombBytes = 65 << 20
)

var inputs = []string{"otlp-grpc", "forward", "syslog-tcp", "syslog-udp", "gelf-tcp", "gelf-udp"}

// start starts a distributor; the end of the test checks its end.
func start(t *testing.T) *harness.Distributor {
	t.Helper()
	t.Parallel()
	return harness.Start(t, inputs, fmt.Sprint("MEMORY_LIMIT_BYTES=", memoryLimit))
}

// check checks that the process has stayed within its memory, still accepts messages and stops
// without an error.
func check(t *testing.T, d *harness.Distributor) {
	t.Helper()
	peak := d.PeakMemory()
	t.Logf("the process had %d MiB at most", peak>>20)
	if peak > maxMemory {
		t.Errorf("the process had %d MiB, more than %d", peak>>20, maxMemory>>20)
	}
	status, text := send(t, d, request{path: "/services/collector", body: []byte(`{"time":1,"event":"after all"}`)})
	if status != http.StatusOK {
		t.Errorf("a request afterwards is answered with %d %s", status, text)
	}
	d.Analyzer.AwaitAll(t, "after all", []string{"after all"})
	d.Stop()
}

// request is a request over HTTP.
type request struct {
	method, path, contentType, coding string
	body                              []byte
}

func send(t *testing.T, d *harness.Distributor, r request) (status int, text string) {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	sent, err := http.NewRequestWithContext(t.Context(), r.method, d.URL+r.path, bytes.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	sent.Header.Set("Content-Type", r.contentType)
	if r.coding != "" {
		sent.Header.Set("Content-Encoding", r.coding)
	}
	response, err := http.DefaultClient.Do(sent)
	if err != nil {
		t.Errorf("%s %s %s: %v", r.path, r.contentType, r.coding, err)
		return 0, ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, string(body)
}

// target is a protocol over HTTP with a body that it accepts.
type target struct {
	path, contentType string
	valid             []byte
	// tooLarge is the status for a body that is too large.
	tooLarge int
}

var targets = map[string]target{
	"OTLP protobuf": {"/v1/logs", "application/x-protobuf", otlpRequest(nil), 413},
	"OTLP JSON":     {"/v1/logs", "application/json", []byte(`{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","severityNumber":9,"body":{"stringValue":"b"},"attributes":[{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"}]}}}]}]}]}]}`), 413},
	"Loki protobuf": {"/loki/api/v1/push", "application/x-protobuf", snappy.Encode(nil, lokiRequest()), 413},
	"Loki JSON":     {"/loki/api/v1/push", "application/json", []byte(`{"streams":[{"stream":{"app":"a"},"values":[["1","line",{"m":"n"}]]}]}`), 413},
	"bulk":          {"/_bulk", "application/x-ndjson", []byte("{\"create\":{\"_index\":\"i\"}}\n{\"@timestamp\":\"2026-01-01T00:00:00Z\",\"message\":\"m\",\"a\":{\"b\":[1]}}\n"), 413},
	"document":      {"/i/_doc", "application/json", []byte(`{"message":"m"}`), 413},
	"HEC":           {"/services/collector", "", []byte(`{"time":1.5,"host":"h","event":{"message":"m"},"fields":{"a":"b"}}{"event":"n"}`), 413},
	"HEC raw":       {"/services/collector/raw", "", []byte("line\nline\n"), 413},
	"GELF":          {"/gelf", "application/json", []byte(`{"version":"1.1","host":"h","short_message":"m","timestamp":1.5,"level":3,"_a":1}`), 413},
	"Datadog":       {"/api/v2/logs", "application/json", []byte(`[{"message":"m","service":"s","hostname":"h","ddtags":"a:b"}]`), 413},
}

// field returns a field of protobuf with a length.
func field(number int, content []byte) []byte {
	return append(binary.AppendUvarint([]byte{byte(number<<3 | 2)}, uint64(len(content))), content...)
}

// otlpRequest returns a request with a record whose body is an AnyValue, or a text.
func otlpRequest(value []byte) []byte {
	if value == nil {
		value = field(1, []byte("text"))
	}
	record := append([]byte{1<<3 | 1, 1, 0, 0, 0, 0, 0, 0, 0}, field(5, value)...)
	attribute := append(field(1, []byte("service.name")), field(2, field(1, []byte("s")))...)
	return field(1, append(field(1, field(1, attribute)), field(2, field(2, record))...))
}

func lokiRequest() []byte {
	entry := append(field(1, []byte{8, 1}), field(2, []byte("line"))...)
	return field(1, append(field(1, []byte(`{app="a"}`)), field(2, entry)...))
}

// nested returns values of OTLP that are lists in lists.
func nested(depth int) []byte {
	value := field(1, []byte("x"))
	for range depth {
		value = field(5, field(1, value))
	}
	return value
}

// refused reports whether a status is the response of a protocol to a request that it cannot
// accept.
func refused(status int) bool { return status >= 400 && status < 500 }

// A body that ends at any byte, and a body with any byte changed, is accepted or refused.
func TestTruncated(t *testing.T) {
	d := start(t)
	for name, to := range targets {
		if status, text := send(t, d, request{path: to.path, contentType: to.contentType, body: to.valid}); status >= 300 {
			t.Errorf("%s: the valid body is answered with %d %s", name, status, text)
		}
		for n := range to.valid {
			changed := bytes.Clone(to.valid)
			changed[n] ^= 0xff
			for what, body := range map[string][]byte{"cut": to.valid[:n], "changed": changed} {
				if status, text := send(t, d, request{path: to.path, contentType: to.contentType, body: body}); status >= 300 && !refused(status) {
					t.Errorf("%s %s at %d: %d %s", name, what, n, status, text)
				}
			}
		}
	}
	check(t, d)
}

// codings returns the encodings of a text of zeros.
func codings(t *testing.T, size int) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for coding, open := range map[string]func(io.Writer) io.WriteCloser{
		"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		"zstd":    func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
		"snappy":  func(w io.Writer) io.WriteCloser { return snappy.NewBufferedWriter(w) },
	} {
		var encoded bytes.Buffer
		w := open(&encoded)
		zeros := make([]byte, 1<<20)
		for range size >> 20 {
			if _, err := w.Write(zeros); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		all[coding] = encoded.Bytes()
	}
	return all
}

// A small body that decodes to a large one is refused as too large, a body that cannot be decoded
// as malformed.
func TestBombs(t *testing.T) {
	d := start(t)
	bombs := codings(t, bombBytes)
	for name, to := range targets {
		if !harness.Judge() && name != "OTLP protobuf" && name != "bulk" {
			continue
		}
		for coding, bomb := range bombs {
			if status, text := send(t, d, request{path: to.path, contentType: to.contentType, coding: coding, body: bomb}); status != to.tooLarge {
				t.Errorf("%s, %s: %d %s", name, coding, status, text)
			}
			for _, part := range [][]byte{bomb[:len(bomb)/2], {}, []byte("garbage")} {
				if status, text := send(t, d, request{path: to.path, contentType: to.contentType, coding: coding, body: part}); !refused(status) && (len(part) > 0 || status >= 300) {
					t.Errorf("%s, %s of %d bytes: %d %s", name, coding, len(part), status, text)
				}
			}
		}
	}
	for _, length := range []uint64{1 << 32, 1<<32 - 1, 100 << 20, 63 << 20} {
		if status, text := send(t, d, request{path: "/loki/api/v1/push", contentType: "application/x-protobuf", body: append(binary.AppendUvarint(nil, length), 0, 0)}); !refused(status) {
			t.Errorf("a block of %d bytes: %d %s", length, status, text)
		}
	}
	check(t, d)
}

// Values with deep nesting, or of other types, are accepted or refused.
func TestNestedValues(t *testing.T) {
	d := start(t)
	many := 1000
	if harness.Judge() {
		many = 100_000
	}
	for _, depth := range []int{10, 65, 1000, 5000} {
		if status, text := send(t, d, request{path: "/v1/logs", contentType: "application/x-protobuf", body: otlpRequest(nested(depth))}); status >= 300 && !refused(status) {
			t.Errorf("OTLP nested %d deep: %d %s", depth, status, text)
		}
	}
	shapes := map[string]string{
		"an array": "[]", "a number": "1", "null": "null", "a text": `"x"`, "nothing": "", "a long number": "1" + strings.Repeat("0", 10*many), "NUL": "\x00",
		"objects in objects": strings.Repeat(`{"a":`, many), "arrays in arrays": strings.Repeat("[", 10*many), "keys": `{` + strings.Repeat(`"a":1,`, 2*many) + `"b":2}`,
		"a closed nest": strings.Repeat("[", many) + strings.Repeat("]", many), "no UTF-8": "{\"message\":\"\xff\xfe\"}", "a lone surrogate": `{"message":"\ud800"}`,
		"two lines": "\n\n", "events": `{"event":` + strings.Repeat(`{"event":`, many), "a time": `{"event":"x","time":1e308,"@timestamp":-1e308,"timestamp":{}}`,
		"streams": `{"streams":[{"stream":[],"values":[[1,2,3]]}]}`, "numbers": `{"streams":1,"resourceLogs":2,"event":3,"short_message":4,"message":5}`,
		"an action": `{"create":{"_index":1}}` + "\n" + `[]` + "\n", "an update": `{"update":{}}` + "\n" + `{}` + "\n", "a lone action": `{"create":{}}` + "\n",
	}
	for name, to := range targets {
		if strings.Contains(name, "protobuf") {
			continue
		}
		for shape, text := range shapes {
			if status, response := send(t, d, request{path: to.path, contentType: to.contentType, body: []byte(text)}); status >= 300 && !refused(status) {
				t.Errorf("%s, %s: %d %.200s", name, shape, status, response)
			}
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "x"} {
		for name, to := range targets {
			if status, text := send(t, d, request{method: method, path: to.path, contentType: to.contentType, body: to.valid}); status >= 300 && !refused(status) {
				t.Errorf("%s %s: %d %s", method, name, status, text)
			}
		}
	}
	check(t, d)
}

// dial opens a connection to an input, or to PORT.
func dial(t *testing.T, d *harness.Distributor, input string) net.Conn {
	t.Helper()
	network, address := "tcp", d.Addresses[input]
	if strings.HasSuffix(input, "-udp") {
		network = "udp"
	}
	if address == "" {
		address = strings.TrimPrefix(d.URL, "http://")
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Bodies that are announced, and not sent, take no memory, and a client that holds many leaves
// capacity to others.
func TestAnnouncedBodies(t *testing.T) {
	d := start(t)
	for _, length := range []string{"67108864", "67108865", "999999999999", "18446744073709551616", "-1", "1e9"} {
		for _, to := range targets {
			conn := dial(t, d, "")
			defer conn.Close()
			_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %s\r\n\r\nabc", to.path, to.contentType, length)
		}
	}
	for range 20 {
		conn := dial(t, d, "")
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "POST /v1/logs HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n%s", strings.Repeat("a", 100_000))
	}
	check(t, d)
}

// frames are data for the inputs with sockets of their own, each for a connection.
func frames(t *testing.T) map[string][][]byte {
	t.Helper()
	bombs := codings(t, bombBytes)
	packed := func(coding string, content []byte) []byte {
		text := append([]byte("\x93\xa3tag\xc6"), binary.BigEndian.AppendUint32(nil, uint32(len(content)))...)
		return append(append(append(text, content...), "\x81\xaacompressed"...), append([]byte{0xa0 | byte(len(coding))}, coding...)...)
	}
	var chunks [][]byte
	for n := range 200 {
		chunks = append(chunks, append([]byte{0x1e, 0x0f, byte(n), 1, 2, 3, 4, 5, 6, 7, byte(n), byte(n / 2)}, make([]byte, 1000)...))
	}
	return map[string][][]byte{
		"forward": {
			[]byte("\xdd\xff\xff\xff\xff"), []byte("\x93\xa3tag\xdd\xff\xff\xff\xff"), []byte("\x93\xdb\xff\xff\xff\xffx"), []byte("\x93\xa3tag\xc6\xff\xff\xff\xff"),
			bytes.Repeat([]byte{0x91}, 1<<20), []byte("\xc1"), []byte("\xc0\xc0\xc0"), []byte("\x93\x01\x02\x03"), []byte("\x90"), []byte("{\"a\":1}"), bytes.Repeat([]byte{0xdf}, 4096),
			packed("gzip", bombs["gzip"]), packed("zstd", bombs["zstd"]), packed("gzip", []byte("garbage")), packed("lz4", []byte("garbage")), packed("gzip", bombs["gzip"][:100]),
			append([]byte("\x93\xa3tag\x01"), bytes.Repeat([]byte{0x81, 0xa1, 'a'}, 100_000)...), []byte("GET / HTTP/1.1\r\n\r\n"),
		},
		"syslog-tcp": {
			[]byte("999999999 x"), []byte("99999999999999999999 x"), []byte("0 x"), bytes.Repeat([]byte("a"), 5<<20), bytes.Repeat([]byte("\n"), 1<<20), []byte("x\x9c garbage"),
			[]byte("<>\n<999>\n<1>1 \n<34>1 - - - - - [\n<34>1 - - - - - [a b=\"\n<34>Oct 99\n"), bytes.Repeat([]byte("<34>1 - - - - - [a b=\"c\"]\n"), 10_000), []byte("\x16\x03\x01\x02\x00\x01"),
			[]byte("<34>1 2026-01-01T00:00:00Z h a p m " + strings.Repeat("[a b=\"c\"]", 50_000) + " x\n"), {0}, {0xef, 0xbb, 0xbf, '\n'},
		},
		"gelf-tcp": {
			bytes.Repeat([]byte("a"), 5<<20), []byte("\x00\x00\x00"), []byte("[]\x00"), []byte("{\x00"), append(bytes.Repeat([]byte("["), 1<<20), 0), []byte("{\"short_message\":{}}\x00"),
		},
		"syslog-udp": {{}, {0}, []byte("<"), []byte("<34>"), bytes.Repeat([]byte("x"), 60_000), []byte("z\x78\x9cgarbage")},
		"gelf-udp": append(chunks, []byte{}, []byte{0x1e}, []byte{0x1e, 0x0f}, []byte{0x1f, 0x8b}, []byte{0x78, 0x9c}, bombs["gzip"][:60_000], bombs["deflate"][:60_000],
			[]byte("{"), []byte{0x1e, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{0x1e, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255}),
		"otlp-grpc": {
			[]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x00\x00\x00\x00\x00\x00"),
			[]byte("\x16\x03\x01\x02\x00\x01"), bytes.Repeat([]byte("x"), 1<<20),
		},
	}
}

// Frames that cannot be parsed end their connection, or are counted and skipped, also when they are
// truncated anywhere.
func TestFrames(t *testing.T) {
	d := start(t)
	for input, all := range frames(t) {
		for _, frame := range all {
			parts := [][]byte{frame}
			for n := 0; n < min(len(frame), 16) && harness.Judge(); n++ {
				parts = append(parts, frame[:n])
			}
			for _, part := range parts {
				conn := dial(t, d, input)
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				_, _ = conn.Write(part) // the connection may have been closed
				if tcp, ok := conn.(*net.TCPConn); ok {
					_ = tcp.CloseWrite()
					_, _ = io.Copy(io.Discard, tcp)
				}
				_ = conn.Close()
			}
		}
	}
	check(t, d)
}

// Calls of gRPC that announce large messages, and send a part of them, together hold no more than
// the memory limit.
func TestHeldCalls(t *testing.T) {
	d := start(t)
	client := overHTTP2()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const calls, sent = 40, 24 << 20
	responses, offered := make(chan struct{}, calls), make(chan struct{}, calls)
	for range calls {
		body, to := io.Pipe()
		go func() {
			_, err := to.Write(append([]byte{0, 3, 0, 0, 0}, make([]byte, sent)...)) // of 48 MiB
			if offered <- struct{}{}; err == nil {
				<-ctx.Done()
			}
			_ = to.Close()
		}()
		go func() {
			defer func() { responses <- struct{}{} }()
			r, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.Addresses["otlp-grpc"]+exportPath, body)
			r.Header.Set("Content-Type", "application/grpc")
			response, err := client.Do(r)
			if err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				_ = body.Close()
				if status := response.Trailer.Get("Grpc-Status"); status != "14" {
					t.Errorf("a call is refused with %s %s", status, response.Trailer.Get("Grpc-Message"))
				}
			}
		}()
	}
	for range calls { // each is sent or refused
		<-offered
	}
	cancel()
	for range calls {
		<-responses
	}
	client.CloseIdleConnections()
	d.Await("the memory is free", func() bool {
		status, _ := send(t, d, request{path: "/services/collector", body: []byte(`{"time":1,"event":"free"}`)})
		return status == http.StatusOK
	})
	check(t, d)
}
