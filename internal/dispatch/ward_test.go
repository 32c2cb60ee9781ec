package dispatch

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"logstreamer/internal/packet"
	"logstreamer/internal/upstream"
)

// setBack has every analyzer give back what it holds, each packet set back once
// more.
func (w *world) setBack() {
	var back []*packet.Packet
	for _, a := range w.analyzers {
		back = append(back, a.take(plenty)...)
	}
	for _, p := range back {
		trouble := packet.Trouble{Setbacks: 1, Last: time.Now(), Cause: "answered 500"}
		if p.Trouble != nil {
			trouble.Setbacks = p.Trouble.Setbacks + 1
			trouble.Apart = p.Trouble.Apart
		}
		p.Trouble, p.Tried = &trouble, true
		w.Returned(p.Analyzer, []*packet.Packet{p})
	}
}

// A packet that is set back again and again is tried ever more rarely.
func TestSetbacksAreWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		w.add(t, 1)
		synctest.Wait()
		for _, wait := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
			w.setBack()
			time.Sleep(wait*time.Second - 10*time.Millisecond)
			synctest.Wait()
			if w.held() > 0 {
				t.Fatalf("it is tried before %d s are over", wait)
			}
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if w.held() != 1 {
				t.Fatalf("it is not tried after %d s", wait)
			}
		}
	})
}

// However many packets are set back, only one for each analyzer in the running is
// tried at a time, and others are not held up.
func TestFewSetBackAreTriedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1, 1)
		w.analyzers[2].set(func(a *analyzer) { a.room, a.brief = 0, false })
		const many = 50
		for range many {
			w.add(t, 1)
		}
		synctest.Wait()
		w.setBack()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := w.held(); got != 2 {
			t.Fatalf("%d of them are tried at once, with two analyzers in the running", got)
		}
		for range many {
			w.add(t, 1)
		}
		synctest.Wait()
		if got := w.held(); got != many+2 {
			t.Errorf("%d of %d fresh packets are bound", got-2, many)
		}
		for range many {
			for _, a := range w.analyzers {
				if packets := a.take(plenty); len(packets) > 0 {
					w.Delivered(a.position, packets)
				}
			}
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
		}
		if books := w.Books(); books.Delivered.Packets != 2*many || books.SetApart != 0 {
			t.Errorf("delivered %d of %d, set apart %d", books.Delivered.Packets, 2*many, books.SetApart)
		}
	})
}

// Packets that are set apart are counted until they end, however that is, and
// told of once.
func TestSetApartIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1)
		for round := range 2 {
			for range 3 {
				w.add(t, 1)
			}
			synctest.Wait()
			w.setBack()
			if got := w.Books().SetApart; got != 3 {
				t.Errorf("%d packets are set apart, want 3", got)
			}
			for left := 2; left >= 0; left-- {
				time.Sleep(3 * time.Second)
				synctest.Wait()
				p := w.analyzers[0].take(1)
				if left == 1 {
					w.Refused(0, []upstream.Refused{{Packet: p[0], Reason: "keeps_failing"}})
				} else {
					w.Delivered(0, p)
				}
				if got := w.Books().SetApart; got != left {
					t.Errorf("%d packets are set apart, want %d", got, left)
				}
			}
			log := w.log.String()
			if begun, over := strings.Count(log, "a packet fails"), strings.Count(log, "no packet fails"); begun != round+1 || over != round+1 {
				t.Errorf("%d beginnings and %d ends are told: %s", begun, over, log)
			}
			if !strings.Contains(log, "packet_id=1 analyzer=a0 cause=\"answered 500\"") {
				t.Errorf("the packet is not named: %s", log)
			}
		}
	})
}

// At the end nobody waits long.
func TestAtTheEndSetbacksAreHurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1)
		w.add(t, 1)
		synctest.Wait()
		for range len(waits) {
			w.setBack()
			time.Sleep(31 * time.Second)
			synctest.Wait()
		}
		w.setBack()
		w.Drain()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if w.held() != 1 {
			t.Error("it still waits")
		}
	})
}
