package router

import (
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Packets that wait for a retry, or for a dead letter to be written, may wait for long, and
// must not hold the body of the request that they came in.
func TestRetriedPacketsHoldNoSharedBuffer(t *testing.T) {
	for name, settle := range map[string]func(h *harness, of *analyzer, deliveries []upstream.Delivery){
		"nacked":   func(h *harness, of *analyzer, deliveries []upstream.Delivery) { h.Nacked(of.id, deliveries) },
		"rejected": func(h *harness, of *analyzer, deliveries []upstream.Delivery) { h.reject(of, deliveries) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, 1)
			h.store.failFor(allPackets)
			body := `{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`
			var pool packet.Pool
			released := false
			shared := pool.Share(pool.New([]byte(body), packet.Info{}), func(*packet.Packet) { released = true })
			part := shared.Part([]byte(body))
			shared.Close()
			var err error
			if part.Info, err = packet.Check(part.Body, 1); err != nil {
				t.Fatal(err)
			}
			if _, err := h.journal.Append([]*packet.Packet{part}); err != nil {
				t.Fatal(err)
			}
			now := time.Now()
			h.Tick(now)
			h.Round(t.Context(), now)
			deliveries := h.analyzers[0].take(unlimited)
			if len(deliveries) != 1 || released {
				t.Fatalf("%d packets are routed, the buffer is released: %v", len(deliveries), released)
			}
			settle(h, h.analyzers[0], deliveries)
			if !released {
				t.Error("the buffer is held")
			}
			h.analyzers[0].set(func(a *analyzer) { a.capacity = unlimited })
			h.Round(t.Context(), now)
			again := h.analyzers[0].take(unlimited)
			if len(again) != 1 || string(again[0].Packet.Body) != body {
				t.Fatalf("%d packets are routed again: %v", len(again), again)
			}
			h.Delivered(h.analyzers[0].id, again)
			if s := h.journal.Stats(); s.MemoryBytes != 0 {
				t.Errorf("%d bytes are held in the end", s.MemoryBytes)
			}
		})
	}
}
