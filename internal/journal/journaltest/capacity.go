package journaltest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// fill appends packets of 1000 bytes one by one until the journal is full, and returns
// how many it took.
func fill(t *testing.T, j journal.Journal, packets *Packets) int {
	t.Helper()
	for taken := 0; ; taken++ {
		if taken > 10_000 {
			t.Fatal("the journal does not become full")
		}
		p := packets.Make(t, "emitter", fmt.Sprint(taken), 1000)
		capacityErr := j.CheckCapacity(len(p.Body))
		n, err := j.Append([]*packet.Packet{p})
		if !errors.Is(err, capacityErr) {
			t.Fatalf("CheckCapacity returned %v and Append %v", capacityErr, err)
		}
		if n == 0 {
			if !errors.Is(err, journal.ErrFull) {
				t.Fatalf("Append to a full journal: %v", err)
			}
			return taken
		}
	}
}

func testCapacity(t *testing.T, j journal.Journal) {
	var packets Packets
	if !j.Fits(100_000) || j.Fits(1<<30) {
		t.Errorf("Fits: 100,000 bytes %v, 1 GiB %v", j.Fits(100_000), j.Fits(1<<30))
	}
	for round := range 3 {
		before := j.Stats().Accepted.Packets
		count := fill(t, j, &packets)
		if count < 500 || count > 2100 {
			t.Errorf("round %d: a journal of 2 MiB took %d packets of 1000 bytes", round, count)
		}
		if err := j.CheckCapacity(1000); !errors.Is(err, journal.ErrFull) || !j.Fits(1000) {
			t.Errorf("round %d: CheckCapacity of a full journal: %v, Fits: %v", round, err, j.Fits(1000))
		}
		if got := j.Stats().Accepted.Packets - before; got != int64(count) {
			t.Errorf("round %d: %d packets were taken and %d accepted", round, count, got)
		}
		fetched := fetch(t, j, count)
		if err := j.CheckCapacity(1 << 20); !errors.Is(err, journal.ErrFull) {
			t.Errorf("round %d: claimed packets free capacity: %v", round, err)
		}
		j.Ack(fetched)
		if err := j.CheckCapacity(1000); err != nil {
			t.Errorf("round %d: no capacity after all acks: %v", round, err)
		}
	}
}

func testPartialAppend(t *testing.T, j journal.Journal) {
	var packets Packets
	batch := make([]*packet.Packet, 3000)
	for i := range batch {
		batch[i] = packets.Make(t, "emitter", fmt.Sprint(i), 1000)
	}
	taken, err := j.Append(batch)
	if taken == 0 || taken == len(batch) || !errors.Is(err, journal.ErrFull) {
		t.Fatalf("Append took %d of %d packets: %v", taken, len(batch), err)
	}
	for i, p := range batch[taken:] {
		if got := ID(t, p); got != fmt.Sprint("emitter/", taken+i) {
			t.Fatalf("a packet that was not taken became %s", got)
		}
	}
	checkStats(t, j, taken, 0, 0)
	fetched := fetch(t, j, taken)
	if got := ID(t, fetched[taken-1]); got != fmt.Sprint("emitter/", taken-1) {
		t.Errorf("the last of %d packets is %s", taken, got)
	}
	j.Ack(fetched)
	if taken, err = j.Append(batch[taken : taken+100]); taken != 100 || err != nil {
		t.Errorf("after all acks Append took %d of 100 packets: %v", taken, err)
	}
}

// testAppendAll checks that packets without capacity for all of them leave no trace.
func testAppendAll(t *testing.T, j journal.Journal) {
	var packets Packets
	batch := make([]*packet.Packet, 3000)
	for i := range batch {
		batch[i] = packets.Make(t, "emitter", fmt.Sprint(i), 1000)
	}
	for range 3 {
		if err := j.AppendAll(batch); !errors.Is(err, journal.ErrTooMany) {
			t.Fatalf("AppendAll of more than the capacity: %v", err)
		}
	}
	checkStats(t, j, 0, 0, 0)
	for n, first := range []int{0, 400} {
		if err := j.AppendAll(batch[first : first+400]); err != nil {
			t.Fatalf("AppendAll of 400 packets: %v", err)
		}
		checkStats(t, j, 400, 400*n, 0)
		if got := ID(t, fetch(t, j, 400)[0]); got != fmt.Sprint("emitter/", first) {
			t.Errorf("the first packet is %s", got)
		}
	}
	if err := j.AppendAll(nil); err != nil {
		t.Errorf("AppendAll of nothing: %v", err)
	}
	taken, _ := j.Append(batch[800:])
	if err := j.AppendAll(batch[2000:2400]); taken < 1 || !errors.Is(err, journal.ErrFull) {
		t.Errorf("AppendAll beside %d packets: %v", taken, err)
	}
}

// testSpellings checks that JSON escapes in an emitter's id do not change its slot.
func testSpellings(t *testing.T, j journal.Journal) {
	var packets Packets
	var batch []*packet.Packet
	for i, spelling := range []string{`emitter-é`, `\u0065mitter-é`, `emitter-\u00e9`, `e\u006Ditter\u002d\u00E9`} {
		batch = append(batch, packets.makeRaw(t, spelling, fmt.Sprint(i)))
	}
	if taken, err := j.Append(batch); taken != len(batch) || err != nil {
		t.Fatalf("Append took %d of %d packets: %v", taken, len(batch), err)
	}
	fetched := fetch(t, j, len(batch))
	for _, p := range fetched[1:] {
		if p.Slot != fetched[0].Slot {
			t.Errorf("%s has the slot %d, and %s has %d", p.EmitterID.Raw(p.Body), p.Slot, fetched[0].EmitterID.Raw(fetched[0].Body), fetched[0].Slot)
		}
	}
	j.Ack(fetched)
}

func testRefusedPackets(t *testing.T, j journal.Journal) {
	var packets Packets
	taken := fill(t, j, &packets)
	p := packets.Make(t, "other", "1", 1000)
	if n, err := j.Append([]*packet.Packet{p}); n != 0 || !errors.Is(err, journal.ErrFull) {
		t.Fatalf("Append to a full journal: %d, %v", n, err)
	}
	j.Ack(fetch(t, j, taken))
	if got := ID(t, p); got != "other/1" {
		t.Errorf("a refused packet became %s", got)
	}
	if n, err := j.Append([]*packet.Packet{p}); n != 1 || err != nil {
		t.Fatalf("second Append: %d, %v", n, err)
	}
	if got := ID(t, fetch(t, j, 1)[0]); got != "other/1" {
		t.Errorf("fetched %s", got)
	}
}
