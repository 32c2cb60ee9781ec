package ingest

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
)

const plainHead = "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n"

func TestUsualHeads(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		usual bool
	}{
		"plain":           {plainHead, true},
		"keep-alive":      {plainHead + "Connection: Keep-Alive\r\n", true},
		"any type":        {plainHead + "Content-Type: text/plain\r\n", true},
		"no body":         {strings.Replace(plainHead, "3", "0", 1), true},
		"GET":             {strings.Replace(plainHead, "POST", "GET", 1), false},
		"path":            {strings.Replace(plainHead, "/ingest", "/ingest/", 1), false},
		"query":           {strings.Replace(plainHead, "/ingest", "/ingest?ack=stored", 1), false},
		"HTTP/1.0":        {strings.Replace(plainHead, "1.1", "1.0", 1) + "Connection: keep-alive\r\n", false},
		"no length":       {"POST /ingest HTTP/1.1\r\nHost: t\r\n", false},
		"chunks":          {"POST /ingest HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n", false},
		"expect":          {plainHead + "Expect: 100-continue\r\n", false},
		"encoding":        {plainHead + "Content-Encoding: gzip\r\n", false},
		"close":           {plainHead + "Connection: close\r\n", false},
		"close in a list": {plainHead + "Connection: x, Close\r\n", false},
	} {
		head, err := http1.Parse([]byte(c.text+"\r\nabc"), maxHead)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := isFastPath(&head); got != c.usual {
			t.Errorf("%s is taken as usual: %v", name, got)
		}
	}
}

func TestKindOf(t *testing.T) {
	for value, want := range map[string]bodyKind{
		"": singlePacket, "application/json": singlePacket, "text/plain": singlePacket, ";;;": singlePacket,
		"application/x-www-form-urlencoded": singlePacket, "application/json; charset=latin1": singlePacket,
		"application/x-ndjsonp": singlePacket, "application/x-ndjso": singlePacket,
		"application/x-ndjson": packetLines, "Application/X-NDJSON": packetLines,
		"application/x-ndjson; charset=utf-8": packetLines, "application/x-ndjson ;x": packetLines,
	} {
		if got := kindOf([]byte(value)); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestPaths(t *testing.T) {
	for target, want := range map[string]string{
		"/ingest": "/ingest", "/ingest?ack=stored": "/ingest", "/%69ngest": "/ingest", "//ingest": "/ingest",
		"http://host/ingest": "/ingest", "HTTP://host:80/ingest?x": "/ingest", "http://host": "/", "http://host?x": "/",
		"/a://b": "/a:/b", "/%": "/%", "/ingest/": "/ingest/",
	} {
		head, err := http1.Parse([]byte("POST "+target+" HTTP/1.1\r\nHost: t\r\n\r\n"), maxHead)
		if err != nil {
			t.Errorf("%s: %v", target, err)
		} else if got := NewRequest(&head, nil, netip.Addr{}, time.Time{}).Path; got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
