package native

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
)

var (
	cutting = reply{parts: ok.parts, cut: true}
	closing = status(200, "Connection: close\r\n", "")
)

// The end of a connection advances the epoch if the connection was used in that epoch.
func TestEpochAdvances(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newFakeAnalyzer(nil)
		f := start(t, testURL(t), a.dial)
		var connections []*connection
		for range 3 {
			connections = append(connections, f.newConn("/ingest").connection)
		}
		r := newRequest(testURL(t), "/ingest")
		r.preparePost(f.packets.some(t, 1))
		for step, test := range []struct {
			connection int
			reply      reply // if the connection is open
			want       int64
		}{
			{0, cutting, 1},
			{1, ok, 1},
			{2, cutting, 1},
			{0, ok, 2},               // closed
			{1, cutting, 2},          // used again
			{2, ok, 2},               // closed, perhaps together with the first
			{1, ok, 3},               // closed
			{0, closing, 3},          // announced in the first response
			{0, reply{cut: true}, 4}, // a new connection
			{0, reply{cut: true}, 5},
			{0, ok, 5},
			{0, closing, 6},
			{2, reply{hang: true}, 6},
			{2, say("nonsense\r\n\r\n"), 7},
		} {
			a.set(func(s *fakeAnalyzer) { s.ingest = always(test.reply) })
			c := connections[test.connection]
			_, _ = c.exchange(t.Context(), r, time.Now().Add(time.Second))
			synctest.Wait()
			if got := f.epoch.number.Load(); got != test.want {
				t.Fatalf("after step %d the epoch is %d, want %d", step, got, test.want)
			}
		}
		for _, c := range connections {
			c.close()
		}
	})
}

// After a sign that the analyzer was replaced, several packets are not sent until a probe.
// The first of the connections that end with one process asks for it.
func TestReplacedAnalyzer(t *testing.T) {
	for name, last := range map[string]reply{"closed": cutting, "closing": closing} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				analyzer := newFakeAnalyzer(always(ok))
				analyzer.health = ndjsonHealth
				f := startProbed(t, analyzer.dial)
				conns := []*conn{f.conn}
				for range 3 {
					c := f.newConn("/ingest")
					defer c.Close()
					conns = append(conns, c)
				}
				send := func(c *conn, packets int) sink.Result {
					return c.Send(t.Context(), f.packets.some(t, packets), time.Now().Add(requestTimeout))
				}
				probes := 0
				for _, c := range conns {
					want(t, send(c, 2), sink.Delivered, "")
				}
				analyzer.set(func(s *fakeAnalyzer) { s.ingest = always(last) })
				for _, c := range conns {
					got := send(c, 1)
					want(t, got, sink.Delivered, "")
					if got.ProbeSoon {
						probes++
					}
				}
				synctest.Wait()
				time.Sleep(idleCheckAfter)
				for _, c := range conns {
					got := send(c, 2)
					if got.Outcome != sink.Rejected || !got.Unsent {
						t.Errorf("the result of several packets is %+v", got)
					}
					if got.ProbeSoon {
						probes++
					}
				}
				if got := f.Capabilities(); got != (sink.Capabilities{MaxPackets: 1, Stale: true}) || probes != 1 {
					t.Errorf("the capabilities are %+v, %d probes are asked for", got, probes)
				}
				want(t, f.probeOnce(t), sink.Delivered, "")
				want(t, send(f.conn, 2), sink.Delivered, "")
			})
		})
	}
}

// An analyzer that announces the close of each connection after one response gets several
// packets in a request.
func TestAnalyzerWithoutKeepAlive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(closing))
		analyzer.health = ndjsonHealth
		f := startProbed(t, analyzer.dial)
		for range 100 {
			got := f.send(t, 16)
			want(t, got, sink.Delivered, "")
			if got.ProbeSoon {
				t.Error("a probe is asked for")
			}
		}
	})
}
