package native

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
)

// Responses of common servers take the fast path.
func TestParseFast(t *testing.T) {
	for name, text := range map[string]string{
		"logstreamer": "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n" + `{"status":"processed"}`,
		"net/http":    "HTTP/1.1 202 Accepted\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nok",
		"lower case":  "HTTP/1.1 201 Created\r\ndate: now\r\nserver: uvicorn\r\ncontent-length: 0\r\n\r\n",
		"one field":   "HTTP/1.1 200 OK\r\nContent-Length:0\r\n\r\n",
	} {
		r, size := parseFast([]byte(text))
		if size != len(text) || r.status/100 != 2 || !bytes.HasSuffix([]byte(text), r.body) {
			t.Errorf("%s: %d of %d bytes are read as %+v", name, size, len(text), r)
		}
	}
}

// All other responses take the slow path.
func TestParseFastFallsBack(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":               "",
		"other version":         "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"failure":               "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
		"interim":               "HTTP/1.1 100 X\r\nContent-Length: 0\r\n\r\n",
		"no content":            "HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\nHT",
		"partial":               "HTTP/1.1 207 X\r\nContent-Length: 2\r\n\r\n{}",
		"close":                 "HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
		"chunked":               "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"advertises NDJSON":     "HTTP/1.1 200 X\r\nAccept-Post: application/x-ndjson\r\nContent-Length: 0\r\n\r\n",
		"two lengths":           "HTTP/1.1 200 X\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\n{}",
		"two equal lengths":     "HTTP/1.1 200 X\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"list of lengths":       "HTTP/1.1 200 X\r\nContent-Length: 2, 2\r\n\r\n{}",
		"negative length":       "HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\n{}",
		"length of nothing":     "HTTP/1.1 200 X\r\nContent-Length: \r\n\r\n{}",
		"no length":             "HTTP/1.1 200 X\r\nDate: now\r\n\r\n{}",
		"large":                 "HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n",
		"incomplete body":       "HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\n{}",
		"incomplete header":     "HTTP/1.1 200 X\r\nContent-Length: 2\r\n",
		"incomplete status":     "HTTP/1.1 20",
		"folded line":           "HTTP/1.1 200 X\r\nDate: now\r\n Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
		"space before colon":    "HTTP/1.1 200 X\r\nContent-Length : 2\r\n\r\n{}",
		"lines without CR":      "HTTP/1.1 200 X\nContent-Length: 2\n\n{}",
		"status of two":         "HTTP/1.1 20 X\r\nContent-Length: 2\r\n\r\n{}",
		"status of four":        "HTTP/1.1 2000 X\r\nContent-Length: 2\r\n\r\n{}",
		"status without digits": "HTTP/1.1 2xx X\r\nContent-Length: 2\r\n\r\n{}",
	} {
		if r, size := parseFast([]byte(text)); size != 0 {
			t.Errorf("%s: the fast path reads %+v", name, r)
		}
	}
}

// Both paths agree, and neither finds a success where the standard library finds none or
// another one.
func FuzzResponse(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nServer: x\r\nDate: now\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\n{}HTTP",
		"HTTP/1.1 202 \r\ncontent-length:0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nT: t\r\n\r\nHTTP",
		"HTTP/1.0 207 \r\nConnection: a, Close\r\n\r\n{}",
		"HTTP/1.1 204 X\r\nContent-Length: 2, 2\r\n\r\n{}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		fast, size := parseFast(text)
		slow := newResponseReader()
		slow.Reset(bytes.NewReader(text))
		got, err := slow.readFinal()
		if size > 0 && (err != nil || got.status != fast.status || !bytes.Equal(got.body, fast.body) || got.close) {
			t.Fatalf("%q is read as %+v by the fast path and as %+v by the slow path: %v", text, fast, got, err)
		}
		if err != nil || !isSuccess(got.status) {
			return
		}
		library := bufio.NewReader(bytes.NewReader(text))
		for {
			want, err := http.ReadResponse(library, nil)
			if err != nil {
				t.Fatalf("%q is read as %d, and the library returns: %v", text, got.status, err)
			}
			body, err := io.ReadAll(want.Body)
			if err != nil {
				t.Fatalf("%q is read as %d, and the library returns of its body: %v", text, got.status, err)
			}
			if want.StatusCode < 200 {
				continue
			}
			if want.StatusCode != got.status || !bytes.Equal(body, got.body) || want.Close && !got.close {
				t.Fatalf("%q is read as %d %q, and by the library as %d %q", text, got.status, got.body, want.StatusCode, body)
			}
			return
		}
	})
}
