package analyzer

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestWindowIsExact compares with the obvious rule: a packet is a repeat when
// it is among the last limit new ones and not older than the age.
func TestWindowIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		age := time.Duration(rapid.IntRange(1, 50).Draw(t, "age"))
		w := newWindow(limit, age)
		type sighting struct {
			packet byte
			at     time.Duration
		}
		var first []sighting
		now := time.Duration(0)
		for range rapid.IntRange(0, 200).Draw(t, "arrivals") {
			now += time.Duration(rapid.IntRange(0, 8).Draw(t, "pause"))
			packet := rapid.ByteRange(0, 40).Draw(t, "packet")

			repeated := false
			for _, s := range first[max(0, len(first)-limit):] {
				repeated = repeated || s.packet == packet && now-s.at <= age
			}
			if got := w.firstTime(fingerprint{packet}, now); got == repeated {
				t.Fatalf("packet %d at %d: first time %v, but repeated %v", packet, now, got, repeated)
			}
			if !repeated {
				first = append(first, sighting{packet, now})
			}
			if len(w.known) > limit {
				t.Fatalf("%d packets remembered, but the limit is %d", len(w.known), limit)
			}
		}
	})
}

func TestWindowTakesAPacketOnceFromManyAtOnce(t *testing.T) {
	w := newWindow(1000, time.Minute)
	var taken atomic.Int64
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for packet := range 500 {
				if w.firstTime(fingerprint{byte(packet), byte(packet >> 8)}, 0) {
					taken.Add(1)
				}
			}
		})
	}
	senders.Wait()
	if got := taken.Load(); got != 500 {
		t.Errorf("500 packets, each sent by 8, were taken %d times", got)
	}
}

func TestFingerprintsTellIdsApart(t *testing.T) {
	seen := make(map[fingerprint]string)
	for _, ids := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"abc", ""}, {"", "abc"}, {"a", "b"}, {"a", "B"}} {
		f := fingerprintOf([]byte(ids[0]+ids[1]), len(ids[0]))
		if other, ok := seen[f]; ok {
			t.Errorf("%q has the fingerprint of %s", ids, other)
		}
		seen[f] = fmt.Sprintf("%q", ids)
	}
}
