package upstream

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
)

// What common servers answer takes the short way.
func TestUsualResponses(t *testing.T) {
	for name, text := range map[string]string{
		"ours":            "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n" + `{"status":"processed"}`,
		"net/http":        "HTTP/1.1 202 Accepted\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nok",
		"small letters":   "HTTP/1.1 201 Created\r\ndate: now\r\nserver: uvicorn\r\ncontent-length: 0\r\n\r\n",
		"nothing but one": "HTTP/1.1 200 OK\r\nContent-Length:0\r\n\r\n",
	} {
		r, size := parseFast([]byte(text))
		if size != len(text) || r.status/100 != 2 || !bytes.HasSuffix([]byte(text), r.body) {
			t.Errorf("%s: %d of %d bytes are read as %+v", name, size, len(text), r)
		}
	}
}

// All else is left to those who know more.
func TestUnusualResponses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":             "",
		"other version":       "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"failure":             "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
		"interim":             "HTTP/1.1 100 X\r\nContent-Length: 0\r\n\r\n",
		"no content":          "HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\nHT",
		"partial":             "HTTP/1.1 207 X\r\nContent-Length: 2\r\n\r\n{}",
		"close":               "HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
		"chunked":             "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"advertises lines":    "HTTP/1.1 200 X\r\nAccept-Post: application/x-ndjson\r\nContent-Length: 0\r\n\r\n",
		"two lengths":         "HTTP/1.1 200 X\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\n{}",
		"two equal lengths":   "HTTP/1.1 200 X\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"list of lengths":     "HTTP/1.1 200 X\r\nContent-Length: 2, 2\r\n\r\n{}",
		"negative length":     "HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\n{}",
		"length of nothing":   "HTTP/1.1 200 X\r\nContent-Length: \r\n\r\n{}",
		"no length":           "HTTP/1.1 200 X\r\nDate: now\r\n\r\n{}",
		"large":               "HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n",
		"rest on its way":     "HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\n{}",
		"header on its way":   "HTTP/1.1 200 X\r\nContent-Length: 2\r\n",
		"status on its way":   "HTTP/1.1 20",
		"folded line":         "HTTP/1.1 200 X\r\nDate: now\r\n Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
		"space before colon":  "HTTP/1.1 200 X\r\nContent-Length : 2\r\n\r\n{}",
		"lines without CR":    "HTTP/1.1 200 X\nContent-Length: 2\n\n{}",
		"status of two":       "HTTP/1.1 20 X\r\nContent-Length: 2\r\n\r\n{}",
		"status of four":      "HTTP/1.1 2000 X\r\nContent-Length: 2\r\n\r\n{}",
		"status of no number": "HTTP/1.1 2xx X\r\nContent-Length: 2\r\n\r\n{}",
	} {
		if r, size := parseFast([]byte(text)); size != 0 {
			t.Errorf("%s: it is read as %+v", name, r)
		}
	}
}

// The short way never reads an answer otherwise than the long one does, and neither
// finds a success where the standard library finds none, or another one.
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
		usual, size := parseFast(text)
		long := newResponseReader()
		long.Reset(bytes.NewReader(text))
		answer, err := long.readFinal()
		if size > 0 && (err != nil || answer.status != usual.status || !bytes.Equal(answer.body, usual.body) || answer.close) {
			t.Fatalf("%q is taken for %+v, and the long way for %+v: %v", text, usual, answer, err)
		}
		if err != nil || !isSuccess(answer.status) {
			return
		}
		library := bufio.NewReader(bytes.NewReader(text))
		for {
			theirs, err := http.ReadResponse(library, nil)
			if err != nil {
				t.Fatalf("%q is taken for %d, and the library says: %v", text, answer.status, err)
			}
			body, err := io.ReadAll(theirs.Body)
			if err != nil {
				t.Fatalf("%q is taken for %d, and the library says of its body: %v", text, answer.status, err)
			}
			if theirs.StatusCode < 200 {
				continue
			}
			if theirs.StatusCode != answer.status || !bytes.Equal(body, answer.body) || theirs.Close && !answer.close {
				t.Fatalf("%q is taken for %d %q, and by the library for %d %q", text, answer.status, answer.body, theirs.StatusCode, body)
			}
			return
		}
	})
}
