package journaltest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// commitErrors is a Waiter with capacity for surplus notifications.
type commitErrors chan error

func (w commitErrors) OnCommit(err error) { w <- err }

// testAppendAsync checks that AppendAsync takes packets in order and notifies the waiter
// once for each pending call.
func testAppendAsync(t *testing.T, j journal.Journal) {
	const batches, size = 20, 7
	var packets Packets
	w := make(commitErrors, 2*batches)
	waiting := 0
	for i := range batches {
		batch := make([]*packet.Packet, size)
		for k := range batch {
			batch[k] = packets.Make(t, "emitter", fmt.Sprint(i*size+k), 500)
		}
		taken, pending, err := j.AppendAsync(batch, w)
		if taken != size || err != nil {
			t.Fatalf("AppendAsync took %d of %d packets: %v", taken, size, err)
		}
		if pending {
			waiting++
		}
	}
	for range waiting {
		if err := <-w; err != nil {
			t.Error(err)
		}
	}
	checkStats(t, j, batches*size, 0, 0)
	for i, p := range fetch(t, j, batches*size) {
		if want := fmt.Sprint(i); string(p.PacketID.Raw(p.Body)) != want {
			t.Fatalf("fetched packet %s, want %s", p.PacketID.Raw(p.Body), want)
		}
		j.Ack([]*packet.Packet{p})
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if taken, pending, err := j.AppendAsync([]*packet.Packet{packets.Make(t, "emitter", "late", 500)}, w); taken != 0 || pending || !errors.Is(err, journal.ErrClosed) {
		t.Errorf("closed, AppendAsync took %d, pending %v: %v", taken, pending, err)
	}
	if len(w) > 0 {
		t.Errorf("%d surplus notifications", len(w))
	}
}
