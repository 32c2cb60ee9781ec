//go:build !noeventloop

package eventloop

import (
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/http1"
)

func TestFastPathHeads(t *testing.T) {
	const plain = "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n"
	for name, c := range map[string]struct {
		text     string
		fastPath bool
	}{
		"plain":           {plain, true},
		"keep-alive":      {plain + "Connection: Keep-Alive\r\n", true},
		"any type":        {plain + "Content-Type: text/plain\r\n", true},
		"no body":         {strings.Replace(plain, "3", "0", 1), true},
		"any method":      {strings.Replace(plain, "POST", "GET", 1), true},
		"largest body":    {strings.Replace(plain, "3", "131072", 1), true},
		"larger body":     {strings.Replace(plain, "3", "131073", 1), false},
		"HTTP/1.0":        {strings.Replace(plain, "1.1", "1.0", 1) + "Connection: keep-alive\r\n", false},
		"no length":       {"POST /ingest HTTP/1.1\r\nHost: t\r\n", false},
		"chunks":          {"POST /ingest HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n", false},
		"expect":          {plain + "Expect: 100-continue\r\n", false},
		"close":           {plain + "Connection: close\r\n", false},
		"close in a list": {plain + "Connection: x, Close\r\n", false},
	} {
		head, err := http1.Parse([]byte(c.text+"\r\nabc"), 8<<10)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := isFastPath(&head); got != c.fastPath {
			t.Errorf("%s is on the fast path: %v", name, got)
		}
	}
}
