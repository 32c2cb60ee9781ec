package ingest

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

const plainHead = "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n"

func TestUsualHeads(t *testing.T) {
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct {
		text string
		want head
	}{
		"plain":       {plainHead, head{length: 3, kind: singlePacket}},
		"other case":  {"POST /ingest HTTP/1.1\r\nhOST: t\r\ncontent-LENGTH:3\r\n", head{length: 3, kind: singlePacket}},
		"curl":        {plainHead + "User-Agent: curl/8.1\r\nAccept: */*\r\nContent-Type: application/json\r\n", head{length: 3, kind: singlePacket}},
		"lines":       {plainHead + "Content-Type: \t application/x-ndjson  \r\n", head{length: 3, kind: packetLines}},
		"charset":     {plainHead + "Content-Type: application/json; charset=UTF-8\r\n", head{length: 3, kind: singlePacket}},
		"keep-alive":  {plainHead + "Connection: Keep-Alive\r\n", head{length: 3, kind: singlePacket}},
		"trace":       {plainHead + "Traceparent: " + trace + "\r\n", head{length: 3, kind: singlePacket, traceparent: []byte(trace)}},
		"no body":     {"POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n", head{kind: singlePacket}},
		"empty value": {plainHead + "X-Empty:\r\n", head{length: 3, kind: singlePacket}},
	} {
		got, usual := parseHead([]byte(c.text + "\r\nabc"))
		c.want.size = len(c.text) + 2
		if !usual || got.size != c.want.size || got.length != c.want.length || got.kind != c.want.kind || !bytes.Equal(got.traceparent, c.want.traceparent) {
			t.Errorf("%s: %+v, usual %v; want %+v", name, got, usual, c.want)
		}
	}
}

func TestUnusualHeads(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":              "",
		"unfinished":           plainHead,
		"unfinished line":      plainHead + "X",
		"GET":                  strings.Replace(plainHead, "POST", "GET", 1) + "\r\n",
		"path":                 strings.Replace(plainHead, "/ingest", "/ingest/", 1) + "\r\n",
		"query":                strings.Replace(plainHead, "/ingest", "/ingest?ack=stored", 1) + "\r\n",
		"HTTP/1.0":             strings.Replace(plainHead, "1.1", "1.0", 1) + "\r\n",
		"bare line feeds":      strings.ReplaceAll(plainHead, "\r\n", "\n") + "\n",
		"one bare line feed":   plainHead + "X: y\n\r\n",
		"carriage return":      plainHead + "X: y\rZ: 1\r\n\r\n",
		"no host":              "POST /ingest HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
		"two hosts":            plainHead + "Host: u\r\n\r\n",
		"empty host":           "POST /ingest HTTP/1.1\r\nHost:\r\nContent-Length: 3\r\n\r\n",
		"no length":            "POST /ingest HTTP/1.1\r\nHost: t\r\n\r\n",
		"two lengths":          plainHead + "Content-Length: 3\r\n\r\n",
		"other length":         plainHead + "content-length: 4\r\n\r\n",
		"signed length":        strings.Replace(plainHead, "3", "+3", 1) + "\r\n",
		"negative length":      strings.Replace(plainHead, "3", "-3", 1) + "\r\n",
		"hexadecimal length":   strings.Replace(plainHead, "3", "0x3", 1) + "\r\n",
		"list of lengths":      strings.Replace(plainHead, "3", "3, 3", 1) + "\r\n",
		"endless length":       strings.Replace(plainHead, "3", "3000000000", 1) + "\r\n",
		"empty length":         strings.Replace(plainHead, "3", "", 1) + "\r\n",
		"chunks":               plainHead + "Transfer-Encoding: chunked\r\n\r\n",
		"expect":               plainHead + "Expect: 100-continue\r\n\r\n",
		"encoding":             plainHead + "Content-Encoding: gzip\r\n\r\n",
		"close":                plainHead + "Connection: close\r\n\r\n",
		"upgrade":              plainHead + "Upgrade: h2c\r\n\r\n",
		"trailer":              plainHead + "Trailer: X\r\n\r\n",
		"unknown type":         plainHead + "Content-Type: text/plain\r\n\r\n",
		"two types":            plainHead + "Content-Type: application/json\r\nContent-Type: application/json\r\n\r\n",
		"two traces":           plainHead + "Traceparent: a\r\nTraceparent: b\r\n\r\n",
		"space before colon":   plainHead + "Transfer-Encoding : chunked\r\n\r\n",
		"space before name":    plainHead + " Transfer-Encoding: chunked\r\n\r\n",
		"folded":               plainHead + "X: a\r\n\tb\r\n\r\n",
		"no colon":             plainHead + "X\r\n\r\n",
		"no name":              plainHead + ": x\r\n\r\n",
		"zero byte":            plainHead + "X: \x00\r\n\r\n",
		"strange name":         plainHead + "X\"Y: 1\r\n\r\n",
		"header too large":     plainHead + "X: " + strings.Repeat("x", mostHeader) + "\r\n\r\n",
		"ends beyond the most": plainHead + "X: " + strings.Repeat("x", mostHeader-len(plainHead)-6) + "\r\n\r\n",
	} {
		if got, usual := parseHead([]byte(text)); usual {
			t.Errorf("%s is taken as usual: %+v", name, got)
		}
	}
}

// Whatever is taken as usual the library must read in the same way.
func FuzzParseHead(f *testing.F) {
	f.Add([]byte(plainHead + "Content-Type: application/json\r\nTraceparent: x\r\nConnection: keep-alive\r\n\r\nabc"))
	f.Add([]byte(plainHead + "Transfer-Encoding : chunked\r\n\r\nabc"))
	f.Add([]byte(plainHead + "X-A: b\r\n c: d\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, usual := parseHead(text)
		if !usual {
			return
		}
		var other fasthttp.RequestHeader
		reader := bufio.NewReaderSize(bytes.NewReader(text), mostHeader)
		if err := other.Read(reader); err != nil {
			t.Fatalf("the library refuses it: %v", err)
		}
		rest, _ := reader.Peek(reader.Buffered())
		switch {
		case !bytes.HasPrefix(text[h.size:], rest):
			t.Errorf("the body begins at %d, by the library with %.20q", h.size, rest)
		case other.ContentLength() != h.length:
			t.Errorf("length %d, by the library %d", h.length, other.ContentLength())
		case kindOf(other.ContentType()) != h.kind:
			t.Errorf("kind %d, by the library type %q", h.kind, other.ContentType())
		case !bytes.Equal(other.Peek("Traceparent"), h.traceparent):
			t.Errorf("traceparent %q, by the library %q", h.traceparent, other.Peek("Traceparent"))
		case other.ConnectionClose(), len(other.Peek("Expect")) > 0, len(other.ContentEncoding()) > 0, other.ConnectionUpgrade():
			t.Errorf("it asks for more than to take the body: %q", text[:h.size])
		}
	})
}

func BenchmarkParseHead(b *testing.B) {
	text := []byte("POST /ingest HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: emitter\r\nContent-Type: application/json\r\nContent-Length: 790\r\n\r\n")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, usual := parseHead(text); !usual {
			b.Fatal("unusual")
		}
	}
}
