package jetstream

import (
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Results that never come, because their messages were lost, do not keep later emitters from theirs.
func TestLostResults(t *testing.T) {
	var a awaited
	p := &packet.Packet{DeliveryChan: make(chan packet.DeliveryResult, 1)}
	lost := a.add(p)
	for range 2 * maxAwaited {
		a.add(p)
	}
	if token := a.add(p); token == 0 || a.take(token) == nil {
		t.Error("the latest emitter gets no result")
	}
	a.put(lost, p.DeliveryChan)
	if a.take(lost) != nil || len(a.chans) > maxAwaited {
		t.Errorf("%d emitters are awaited, or the first one again", len(a.chans))
	}
}
