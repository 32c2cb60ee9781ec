package journaltest

import (
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/backlog"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// testSample checks that a sample has queued packets only, and represents all of them.
func testSample(t *testing.T, j journal.Journal) {
	var packets Packets
	if !j.Oldest().IsZero() {
		t.Errorf("the oldest packet of an empty journal was accepted at %v", j.Oldest())
	}
	before := time.Now()
	if _, err := j.Append([]*packet.Packet{packets.makeRaw(t, `\u0065`, "1"), packets.Make(t, "f", "22", 0)}); err != nil {
		t.Fatal(err)
	}
	checkStats(t, j, 2, 0, 0)
	if oldest := j.Oldest(); oldest.Before(before.Add(-time.Millisecond)) || oldest.After(time.Now()) {
		t.Errorf("the oldest packet was accepted at %v", oldest)
	}
	var all backlog.Emitters
	j.Sample(10, all.Add)
	if got := all.Top(2); len(got) != 2 || got[0] != (backlog.Emitter{ID: "f", Packets: 1, Messages: 3}) || got[1].ID != "e" {
		t.Errorf("%+v", got)
	}
	claimed := fetch(t, j, 2)
	appendPackets(t, j, &packets, 100, 50)
	checkStats(t, j, 50, 2, 0)
	var some backlog.Emitters
	j.Sample(7, some.Add)
	if got := some.Top(2); some.Sampled() != 7 || len(got) != 1 || got[0].ID != "emitter" || got[0].Packets != 50 || got[0].MarginMessages == 0 {
		t.Errorf("%d sampled: %+v", some.Sampled(), got)
	}
	j.Ack(claimed)
}
