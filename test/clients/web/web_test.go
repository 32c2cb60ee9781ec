// Package web tests the inputs over HTTP beside OTLP with the real clients of other systems.
package web

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// count is the number of messages of each test.
const count = 2000

// full are settings with which little fills a distributor.
var full = []string{"MEMORY_LIMIT_BYTES=4MiB", "MAX_BODY_BYTES=512KiB", "JOURNAL=memory"}

// texts are the messages that clients send.
func texts() (all []string) {
	for n := range count {
		all = append(all, fmt.Sprintf("message %04d", n))
	}
	return all
}

// fill makes the analyzer hang and sends packets until they are refused.
func fill(d *harness.Distributor) {
	d.Helper()
	d.Analyzer.Hang()
	text := strings.Repeat("filler ", 16<<10)
	for n := range 1000 {
		body := fmt.Appendf(nil, `{"emitter_id":"filler","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"%s"}]}`, n, text)
		response, err := http.Post(d.URL+"/ingest", "application/json", bytes.NewReader(body))
		if err != nil {
			d.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusServiceUnavailable {
			return
		}
	}
	d.Fatal("the distributor does not get full")
}

// resumeLater lets the analyzer go on after the waits of several refusals.
func resumeLater(d *harness.Distributor) {
	timer := time.AfterFunc(8*time.Second, d.Analyzer.Resume)
	d.Cleanup(func() { timer.Stop() })
}

// check compares the messages that arrived with those that were sent since started.
func check(t *testing.T, d *harness.Distributor, emitter, level string, started time.Time) {
	t.Helper()
	for _, m := range d.Analyzer.Messages() {
		if !strings.HasPrefix(m.Text, "message ") {
			continue
		}
		at := time.UnixMilli(m.Timestamp)
		if m.EmitterID != emitter || m.Level != level || at.Before(started.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
			t.Fatalf("%+v, want %s of %s, since %v", m, level, emitter, started)
		}
	}
}
