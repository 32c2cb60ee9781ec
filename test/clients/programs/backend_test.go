package programs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

// perPacket is the number of messages of a packet for a backend.
const perPacket = 20

// backendMessage is a message for a backend.
type backendMessage struct {
	Timestamp int64             `json:"timestamp"`
	Level     string            `json:"level"`
	Text      string            `json:"message"`
	Metadata  map[string]string `json:"metadata"`
}

// backendMessages returns messages, each with its number in its metadata, in the order of their times.
// Most messages of every other packet have one time.
func backendMessages(begin time.Time) []backendMessage {
	all := make([]backendMessage, messages)
	for n := range all {
		at := begin.Add(time.Duration(n) * time.Millisecond)
		if n/perPacket%2 == 1 && n%perPacket < perPacket-3 {
			at = begin.Add(time.Duration(n/perPacket*perPacket) * time.Millisecond)
		}
		all[n] = backendMessage{
			Timestamp: at.UnixMilli(), Level: []string{"INFO", "ERROR", "odd"}[n%3], Text: fmt.Sprintf("m-%d \"é\"\n\t日本 \x01\\", n),
			Metadata: map[string]string{"number": fmt.Sprint(n), "packet": fmt.Sprint(n / perPacket), "service.name": "shop", "quote": `a"b\c`},
		}
	}
	return all
}

// sendPackets posts packets of four emitters, whose ids are the numbers of their first messages.
func sendPackets(d *harness.Distributor, all []backendMessage) {
	d.Helper()
	for first := 0; first < len(all); first += perPacket {
		sendPacket(d, all[first].Metadata["number"], all[first:min(first+perPacket, len(all))])
	}
}

func sendPacket(d *harness.Distributor, id string, of []backendMessage) {
	d.Helper()
	packet := map[string]any{"emitter_id": fmt.Sprint("shop/web-", len(id)), "packet_id": id, "messages": of}
	body, err := json.Marshal(packet)
	if err != nil {
		d.Fatal(err)
	}
	response, err := http.Post(d.URL+"/ingest", "application/json", bytes.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		d.Fatalf("the packet %s was answered %s", id, response.Status)
	}
}

// deadLetters returns the details of the dead letters by packet_id, once the distributor has stopped.
func deadLetters(d *harness.Distributor) map[string]string {
	d.Helper()
	text, err := d.Command("journal", "export", "-dead-letters", "-data-dir", d.DataDir).Output()
	if err != nil {
		d.Fatal(err)
	}
	details := make(map[string]string)
	for line := range bytes.Lines(text) {
		var letter struct {
			Detail string
			Packet struct {
				PacketID string `json:"packet_id"`
			}
		}
		if err := json.Unmarshal(line, &letter); err != nil {
			d.Fatalf("%v: %s", err, line)
		}
		details[letter.Packet.PacketID] = letter.Detail
	}
	return details
}

// losingAnswers returns the URL of a proxy of a backend that closes the connection of every seventh
// POST after the backend has answered.
func losingAnswers(t *testing.T, backend string) string {
	target, err := url.Parse(backend)
	if err != nil {
		t.Fatal(err)
	}
	var posts atomic.Int64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodPost && posts.Add(1)%7 == 0 {
				_, _ = io.Copy(io.Discard, r.Body)
				panic(http.ErrAbortHandler)
			}
			return nil
		},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(func() {
		server.Close()
		t.Logf("%d answers were lost", posts.Load()/7)
	})
	return server.URL
}
