package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

const exportPath = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

// overHTTP2 returns a client of HTTP/2 without TLS.
func overHTTP2() *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: &protocols}}
}

// framedMessage is a message of gRPC with a prefix that announces a length.
func framedMessage(flag byte, length int, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(length)), message...)
}

// call is a call of gRPC.
type call struct {
	method, path, contentType string
	fields                    map[string]string
	body                      []byte
}

// do returns the status of HTTP and the status of gRPC, which may be in the head or behind the
// body.
func (c call) do(ctx context.Context, client *http.Client, d *harness.Distributor) (status int, code string, err error) {
	if c.method == "" {
		c.method = http.MethodPost
	}
	if c.path == "" {
		c.path = exportPath
	}
	if c.contentType == "" {
		c.contentType = "application/grpc"
	}
	r, err := http.NewRequestWithContext(ctx, c.method, "http://"+d.Addresses["otlp-grpc"]+c.path, bytes.NewReader(c.body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", c.contentType)
	for name, value := range c.fields {
		r.Header.Set(name, value)
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	if _, err = io.Copy(io.Discard, response.Body); err != nil {
		return 0, "", err
	}
	if code = response.Trailer.Get("Grpc-Status"); code == "" {
		code = response.Header.Get("Grpc-Status")
	}
	return response.StatusCode, code, nil
}

// whole is a message of gRPC with a prefix that announces its length.
func whole(flag byte, message []byte) []byte { return framedMessage(flag, len(message), message) }

// grpcCase is a call, and the statuses of gRPC that may answer it.
type grpcCase struct {
	call
	codes []string
}

// grpcCases are calls with valid and invalid messages, codings and paths.
func grpcCases() map[string]grpcCase {
	valid := otlpRequest(nil)
	var encoded bytes.Buffer
	w := gzip.NewWriter(&encoded)
	_, _ = w.Write(make([]byte, bombBytes))
	_ = w.Close()
	bomb := encoded.Bytes()
	coded := func(name string) map[string]string { return map[string]string{"Grpc-Encoding": name} }
	const ok, invalid, exhausted, unimplemented = "0", "3", "8", "12"
	return map[string]grpcCase{
		"a valid message":          {call{body: whole(0, valid)}, []string{ok}},
		"an empty message":         {call{body: whole(0, nil)}, []string{ok}},
		"two messages":             {call{body: append(whole(0, valid), whole(0, valid)...)}, []string{ok, invalid}},
		"a proto subtype":          {call{contentType: "application/grpc+proto", body: whole(0, valid)}, []string{ok}},
		"another subtype":          {call{contentType: "application/grpc+json", body: whole(0, []byte("{}"))}, []string{invalid, unimplemented}},
		"no message":               {call{}, []string{invalid}},
		"half a prefix":            {call{body: []byte{0, 0}}, []string{invalid}},
		"half a message":           {call{body: framedMessage(0, 1000, valid)}, []string{invalid}},
		"a message of 4 GiB":       {call{body: framedMessage(0, 1<<32-1, valid)}, []string{exhausted}},
		"garbage":                  {call{body: whole(0, []byte("garbage"))}, []string{invalid}},
		"another flag":             {call{body: whole(0xff, valid)}, []string{invalid, unimplemented}},
		"compressed, and not said": {call{body: whole(1, valid)}, []string{invalid, unimplemented}},
		"compressed as identity":   {call{fields: coded("identity"), body: whole(1, valid)}, []string{invalid, unimplemented}},
		"an unknown compression":   {call{fields: coded("br"), body: whole(1, valid)}, []string{unimplemented}},
		"no gzip":                  {call{fields: coded("gzip"), body: whole(1, []byte("garbage"))}, []string{invalid}},
		"half of a gzip":           {call{fields: coded("gzip"), body: whole(1, bomb[:len(bomb)/2])}, []string{invalid, exhausted}},
		"a bomb":                   {call{fields: coded("gzip"), body: whole(1, bomb)}, []string{exhausted}},
		"said, and not compressed": {call{fields: coded("gzip"), body: whole(0, valid)}, []string{ok}},
		"an unknown method":        {call{path: "/opentelemetry.proto.collector.logs.v1.LogsService/Other", body: whole(0, valid)}, []string{unimplemented}},
		"another service":          {call{path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export", body: whole(0, valid)}, []string{unimplemented}},
		"no service":               {call{path: "/", body: whole(0, valid)}, []string{unimplemented}},
		"a short timeout":          {call{fields: map[string]string{"Grpc-Timeout": "1n"}, body: whole(0, valid)}, []string{ok, "4"}},
		"a wrong timeout":          {call{fields: map[string]string{"Grpc-Timeout": "soon"}, body: whole(0, valid)}, []string{ok, invalid}},
	}
}

// A call that no client should make is answered with a status of gRPC, which is never INTERNAL, UNKNOWN
// or another that says that the server has failed.
func TestCalls(t *testing.T) {
	d := start(t)
	client := overHTTP2()
	defer client.CloseIdleConnections()
	for name, c := range grpcCases() {
		status, code, err := c.do(t.Context(), client, d)
		if err != nil || status != http.StatusOK || !slices.Contains(c.codes, code) {
			t.Errorf("%s: %d, the status %q, %v; want one of %q", name, status, code, err, c.codes)
		}
	}
	for name, c := range map[string]call{
		"GET": {method: http.MethodGet}, "JSON": {contentType: "application/json", body: []byte("{}")}, "PUT": {method: http.MethodPut, body: whole(0, otlpRequest(nil))},
	} {
		if status, code, err := c.do(t.Context(), client, d); err != nil || !refused(status) {
			t.Errorf("%s: %d %q, %v", name, status, code, err)
		}
	}
	check(t, d)
}

// Metadata that are too large end their call or connection; others continue.
func TestLargeMetadata(t *testing.T) {
	d := start(t)
	for _, size := range []int{8 << 10, 20 << 10, 1 << 20, 8 << 20} {
		client := overHTTP2()
		large := call{fields: map[string]string{"X-Large": strings.Repeat("x", size)}, body: framedMessage(0, 0, nil)}
		status, code, err := large.do(t.Context(), client, d)
		if small := size < 16<<10; small && code != "0" || !small && err == nil && !refused(status) {
			t.Errorf("%d bytes: %d %q, %v", size, status, code, err)
		}
		if status, code, err := (call{body: framedMessage(0, 0, nil)}).do(t.Context(), client, d); err != nil || code != "0" {
			t.Errorf("after %d bytes: %d %q, %v", size, status, code, err)
		}
		client.CloseIdleConnections()
	}
	check(t, d)
}

// Calls that their clients reset in the middle, many on each connection, hold no memory.
func TestResetCalls(t *testing.T) {
	d := start(t)
	calls := 300
	if harness.Judge() {
		calls = 5000
	}
	client := overHTTP2()
	for n := range calls {
		ctx, cancel := context.WithCancel(t.Context())
		body, to := io.Pipe()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.Addresses["otlp-grpc"]+exportPath, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/grpc")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if response, err := client.Do(r); err == nil {
				_ = response.Body.Close()
			}
		}()
		if n%2 == 0 { // the other half is reset before a byte
			_, _ = to.Write(framedMessage(0, 1<<20, make([]byte, n%1000)))
		}
		cancel()
		<-ended
		_ = to.Close()
	}
	client.CloseIdleConnections()
	check(t, d)
}

// HTTP/1 requests with unusual framing are served or refused with a status of HTTP.
func TestOddHTTP(t *testing.T) {
	d := start(t)
	const event = `{"time":1,"event":"odd"}`
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x;extension=1\r\n%s\r\n0\r\n", len(event), event)
	length := fmt.Sprintf("Content-Length: %d\r\n", len(event))
	for name, c := range map[string]struct{ text, want string }{
		"HTTP/1.0":                     {"POST /services/collector HTTP/1.0\r\n" + length + "\r\n" + event, "200"},
		"HTTP/1.0 without a length":    {"POST /services/collector HTTP/1.0\r\n\r\n" + event, "4"},
		"a body that is expected":      {"POST /services/collector HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n" + length + "\r\n" + event, "200"},
		"trailers":                     {"POST /services/collector HTTP/1.1\r\nHost: h\r\nTrailer: X\r\n" + chunked + "X: y\r\nContent-Length: 5\r\n\r\n", "200"},
		"a trailer without an end":     {"POST /services/collector HTTP/1.1\r\nHost: h\r\n" + chunked + "X: " + strings.Repeat("y", 100_000), "4"},
		"two lengths":                  {"POST /services/collector HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n" + chunked + "\r\n", "400"},
		"another coding of transfers":  {"POST /services/collector HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "4"},
		"a chunk of no size":           {"POST /services/collector HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
		"a chunk of more than 2^64":    {"POST /services/collector HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", "4"},
		"a head that is too large":     {"POST /services/collector HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "431"},
		"lines without carriage":       {"POST /services/collector HTTP/1.1\nHost: h\n" + strings.ReplaceAll(length, "\r", "") + "\n" + event, "400"},
		"two codings":                  {"POST /services/collector HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip, gzip\r\n" + length + "\r\n" + event, "400"},
		"an unknown coding":            {"POST /v1/logs HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}", "415"},
		"an unknown type":              {"POST /v1/logs HTTP/1.1\r\nHost: h\r\nContent-Type: text/xml\r\nContent-Length: 2\r\n\r\n{}", "415"},
		"a body that ends early":       {"POST /services/collector HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + event, "400"},
		"a path with another encoding": {"POST /services%2fcollector?channel=%zz HTTP/1.1\r\nHost: h\r\n" + length + "\r\n" + event, ""},
	} {
		conn := dial(t, d, "")
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(conn, c.text) // the server may close before its end
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
		response, _ := io.ReadAll(conn)
		_ = conn.Close()
		final := strings.TrimPrefix(string(response), "HTTP/1.1 100 Continue\r\n\r\n")
		if !strings.HasPrefix(final, "HTTP/1.1 "+c.want) || strings.HasPrefix(final, "HTTP/1.1 5") {
			t.Errorf("%s: %.200q, want %s", name, response, c.want)
		}
	}
	check(t, d)
}
