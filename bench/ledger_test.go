//go:build linux

package main

import (
	"testing"

	"pgregory.net/rapid"
)

func packetBody(text *packetText, id int64) []byte {
	r := newRequest(shaped(text.messages, 1), text)
	r.assignIDs(id)
	return r.bytes[len(r.bytes)-text.size():]
}

// In any order of acceptance and arrival, with any repeats, the ledger is
// complete when everything accepted has arrived.
func TestLedgerFindsEveryLoss(t *testing.T) {
	text := newPacketText(shaped(1, 1))
	rapid.Check(t, func(t *rapid.T) {
		l := &ledger{next: rapid.Int64Range(0, 1_000_000).Draw(t, "first")}
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			l.open(text)
			first := l.assignIDs(200)
			accepted, arrived := map[int64]bool{}, map[int64]bool{}
			var again int64
			for range rapid.IntRange(0, 100).Draw(t, "events") {
				id := first + rapid.Int64Range(0, 199).Draw(t, "id")
				if rapid.Bool().Draw(t, "arrives") {
					if arrived[id] {
						again++
					}
					arrived[id] = true
					l.arrive(packetBody(text, id))
				} else if !accepted[id] {
					accepted[id] = true
					l.accept(id, 1)
				}
			}
			var missing int64
			for id := range accepted {
				if !arrived[id] {
					missing++
				}
			}
			if l.missing != missing || l.complete() != (missing == 0) || l.packets != int64(len(accepted)) || l.duplicates != again || l.damaged != 0 {
				t.Fatalf("ledger %d accepted, %d missing, %d again; want %d, %d, %d",
					l.packets, l.missing, l.duplicates, len(accepted), missing, again)
			}
		}
	})
}

func TestLedgerFindsDamagedPackets(t *testing.T) {
	text := newPacketText(shaped(1, 1))
	l := &ledger{}
	l.open(text)
	l.assignIDs(5)
	l.arrive([]byte("{}"))
	l.arrive(packetBody(text, 5))
	if l.damaged != 2 {
		t.Errorf("%d of 2 damaged packets are found", l.damaged)
	}
}
