package upstream

import (
	"bufio"
	"bytes"
	"io"
	"testing"

	"github.com/valyala/fasthttp"
)

// What common servers answer takes the short way.
func TestUsualResponses(t *testing.T) {
	for name, text := range map[string]string{
		"ours":            "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n" + `{"status":"processed"}`,
		"net/http":        "HTTP/1.1 202 Accepted\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nok",
		"small letters":   "HTTP/1.1 201 Created\r\ndate: now\r\nserver: uvicorn\r\ncontent-length: 0\r\n\r\n",
		"nothing but one": "HTTP/1.1 200 OK\r\nContent-Length:0\r\n\r\n",
	} {
		r, size := usualResponse([]byte(text))
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
		if r, size := usualResponse([]byte(text)); size != 0 {
			t.Errorf("%s: it is read as %+v", name, r)
		}
	}
}

// The short way never reads an answer otherwise than the library does.
func FuzzUsualResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nServer: x\r\nDate: now\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\n{}HTTP"))
	f.Add([]byte("HTTP/1.1 202 \r\ncontent-length:0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, size := usualResponse(text)
		if size == 0 {
			return
		}
		var whole fasthttp.Response
		reader := bufio.NewReaderSize(bytes.NewReader(text), largestHeaderBytes)
		if err := whole.ReadLimitBody(reader, largestAnswerBytes); err != nil {
			t.Fatalf("%q is taken for %+v, and the library says: %v", text, r, err)
		}
		rest, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if whole.StatusCode() != r.status || !bytes.Equal(whole.Body(), r.body) || whole.ConnectionClose() || !bytes.Equal(rest, text[size:]) {
			t.Fatalf("%q is taken for %+v, and by the library for %d %q, with %q left", text, r, whole.StatusCode(), whole.Body(), rest)
		}
	})
}
