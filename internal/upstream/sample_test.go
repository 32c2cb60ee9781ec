package upstream

import (
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/backlog"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// The sample of an analyzer is of the packets that wait for a sender.
func TestSample(t *testing.T) {
	u := &Upstream{queue: newQueue()}
	if !u.Oldest().IsZero() {
		t.Error("an empty queue has an oldest packet")
	}
	body := []byte(`{"emitter_id":"e","packet_id":"1","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`)
	info, err := packet.Check(body, 10)
	if err != nil {
		t.Fatal(err)
	}
	for second := range 100 {
		u.queue.waiting.Push(Delivery{Packet: &packet.Packet{Body: body, Info: info, Accepted: time.Unix(int64(second), 0)}})
	}
	var e backlog.Emitters
	u.Sample(10, e.Add)
	if got := e.Top(9); e.Sampled() != 10 || len(got) != 1 || got[0].ID != "e" || got[0].Messages != 100 {
		t.Errorf("%d sampled: %+v", e.Sampled(), got)
	}
	if got := u.Oldest(); !got.Equal(time.Unix(0, 0)) {
		t.Errorf("the oldest is of %v", got)
	}
}
