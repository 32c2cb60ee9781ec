package native

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
)

const (
	requestTimeout = time.Minute
	packetFormat   = `{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`
)

// fixture is a Sink under test with one connection.
type fixture struct {
	*Sink
	conn    *conn
	packets packetMaker
}

// start returns a fixture that is closed when the test ends.
func start(t testing.TB, base *url.URL, dial Dial) *fixture {
	t.Helper()
	s := New(base, dial, nil, slog.New(slog.DiscardHandler))
	f := &fixture{Sink: s, conn: s.newConn("/ingest")}
	t.Cleanup(f.conn.Close)
	return f
}

// startProbed returns a fixture after a successful probe.
func startProbed(t testing.TB, dial Dial) *fixture {
	t.Helper()
	f := start(t, testURL(t), dial)
	if got := f.probeOnce(t); got.Outcome != sink.Delivered {
		t.Fatalf("the probe returned %+v", got)
	}
	return f
}

// send sends the next n packets in one request.
func (f *fixture) send(t testing.TB, n int) sink.Result {
	t.Helper()
	return f.sendAll(t, f.packets.some(t, n))
}

func (f *fixture) sendAll(t testing.TB, packets []*packet.Packet) sink.Result {
	t.Helper()
	return f.conn.Send(t.Context(), packets, time.Now().Add(requestTimeout))
}

func (f *fixture) probeOnce(t testing.TB) sink.Result {
	t.Helper()
	return f.Probe(t.Context(), time.Now().Add(time.Minute))
}

func (f *fixture) acceptsNDJSON() bool { return f.Capabilities().MaxPackets > 1 }

// want fails unless the result has the outcome and the reason.
func want(t testing.TB, got sink.Result, outcome sink.Outcome, reason string) {
	t.Helper()
	if got.Outcome != outcome || got.Reason != reason {
		t.Errorf("the result is %+v, want the outcome %d for %q", got, outcome, reason)
	}
}

// packetMaker makes packets with ids that count from 1.
type packetMaker struct {
	pool packet.Pool
	last int
}

func (m *packetMaker) of(t testing.TB, format string) *packet.Packet {
	t.Helper()
	m.last++
	body := []byte(format)
	if strings.Contains(format, "%d") {
		body = fmt.Appendf(nil, format, m.last)
	}
	info, err := packet.Check(body, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return m.pool.New(body, info)
}

func (m *packetMaker) some(t testing.TB, n int) (packets []*packet.Packet) {
	t.Helper()
	for range n {
		packets = append(packets, m.of(t, packetFormat))
	}
	return packets
}

func testURL(t testing.TB) *url.URL { return parseURL(t, "http://one:9001/base/") }

func parseURL(t testing.TB, text string) *url.URL {
	t.Helper()
	endpoint, err := sink.ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return endpoint.Base
}

// bubble runs a test in a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}
