//go:build !noeventloop

package native

import (
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/http1"
)

func TestFastPathRequests(t *testing.T) {
	const plain = "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n"
	h := newHandler(t, standard(), &greedyJournal{})
	for name, c := range map[string]struct {
		text     string
		fastPath bool
	}{
		"plain":     {plain, true},
		"any type":  {plain + "Content-Type: text/plain\r\n", true},
		"no body":   {strings.Replace(plain, "3", "0", 1), true},
		"GET":       {strings.Replace(plain, "POST", "GET", 1), false},
		"path":      {strings.Replace(plain, "/ingest", "/ingest/", 1), false},
		"query":     {strings.Replace(plain, "/ingest", "/ingest?ack=stored", 1), false},
		"encoding":  {plain + "Content-Encoding: gzip\r\n", false},
		"too large": {strings.Replace(plain, "3", "1048577", 1), false},
	} {
		head, err := http1.Parse([]byte(c.text+"\r\nabc"), 8<<10)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := h.isFastPath(&head); got != c.fastPath {
			t.Errorf("%s is on the fast path: %v", name, got)
		}
	}
}
