package dispatch

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
)

// Only packets whose letters could not be written stay; they wait, on the books and
// in the journal, and nobody is told that they have ended. When letters can be
// written again they end.
func TestUnwrittenPacketsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1)
		for range 4 {
			w.add(t, 10)
		}
		synctest.Wait()
		mine := w.analyzers[0].take(plenty)
		receipt := make(chan packet.Outcome, 4)
		for _, p := range mine {
			p.Receipt = receipt
		}
		w.letters.breaks(func(p *packet.Packet) bool { return p.Sequence%2 == 0 })
		w.refuse(w.analyzers[0], mine)
		synctest.Wait()
		books, stats := w.Books(), w.journal.Stats()
		if books.DeadLettered.Packets != 2 || stats.Acknowledged.Messages != 20 || len(receipt) != 2 {
			t.Errorf("%d are dead letters, the journal has forgotten %v, %d are told of", books.DeadLettered.Packets, stats.Acknowledged, len(receipt))
		}
		if out := w.held(); int(books.Waiting.Packets)+out != 2 || stats.Claimed.Packets != 2 {
			t.Errorf("%v wait, %d are tried, the journal holds %v for them", books.Waiting, out, stats.Claimed)
		}
		w.letters.breaks(nil)
		for range 3 {
			w.refuseAll()
			synctest.Wait()
		}
		books, stats = w.Books(), w.journal.Stats()
		if books.DeadLettered.Messages != 40 || books.Waiting.Packets != 0 || stats.Acknowledged.Packets != 4 || len(receipt) != 4 || w.held() != 0 {
			t.Errorf("in the end the books are %+v, the journal's %+v, and %d are told of", books, stats, len(receipt))
		}
	})
}

// One packet is tried for all while letters cannot be written, after ever longer
// waits; those that analyzers failed with do not wait for it, and none of it counts as
// a failure.
func TestUnwrittenPacketsAreTriedEverMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1)
		const many = 100
		for range many {
			w.add(t, 1)
		}
		synctest.Wait()
		w.letters.breaks(everybody)
		w.refuseAll()
		synctest.Wait()
		for _, wait := range []time.Duration{0, 0, 1, 2, 4, 8, 16, 32, 60, 60} {
			if wait > 0 {
				time.Sleep(wait*time.Second - 10*time.Millisecond)
				synctest.Wait()
				if got := w.held(); got > 0 {
					t.Fatalf("%d are tried before %d s are over", got, wait)
				}
				time.Sleep(200 * time.Millisecond)
				synctest.Wait()
			}
			if got := w.held(); got != 1 {
				t.Fatalf("%d are tried after %d s, want 1", got, wait)
			}
			w.refuseAll()
			synctest.Wait()
		}
		w.add(t, 1)
		synctest.Wait()
		w.failAll(false)
		synctest.Wait()
		if got := w.held(); got != 1 {
			t.Errorf("%d of one packet that an analyzer failed with are tried at once", got)
		}
		if mine := w.analyzers[0].take(1); len(mine) != 1 || mine[0].Unwritten || mine[0].Trouble == nil {
			t.Error("it is another packet")
		} else if w.Delivered(0, mine); w.Books().SetApart != 0 {
			t.Errorf("%d packets are set apart", w.Books().SetApart)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, p := range w.analyzers[0].take(plenty) {
			if p.Trouble != nil {
				t.Errorf("an analyzer is said to have failed with it: %+v", p.Trouble)
			}
			w.refuse(w.analyzers[0], []*packet.Packet{p})
		}
	})
}

// Once one has ended they all are soon over it, without the budget of what is sent
// again, which others need.
func TestUnwrittenPacketsAreSoonOverIt(t *testing.T) {
	const many = 3 * retrybudget.MinRetries
	for name, end := range map[string]func(*world) int{
		"written": func(w *world) int { w.letters.breaks(nil); return w.refuseAll() },
		"taken":   (*world).takeAll,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := started(t, 1, 1)
				for range many {
					w.add(t, 1)
				}
				synctest.Wait()
				w.letters.breaks(everybody)
				w.refuseAll()
				for range 20 { // until one is tried in a minute
					time.Sleep(time.Minute)
					synctest.Wait()
					w.refuseAll()
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				ended, rounds := 0, 0
				for ; ended < many && rounds < 30; rounds++ {
					ended += end(w)
					synctest.Wait()
				}
				if ended != many || rounds > 15 { // twice as many each time
					t.Errorf("%d of %d packets have ended in %d rounds, in no time", ended, many, rounds)
				}
				if left := w.budget.Take(retrybudget.MinRetries, time.Now()); left != retrybudget.MinRetries {
					t.Errorf("only %d others may be sent again yet", left)
				}
			})
		})
	}
}

// When letters cannot be written again before all are over it, one is tried again.
func TestUnwrittenPacketsMeetAnotherFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1)
		for range 100 {
			w.add(t, 1)
		}
		synctest.Wait()
		w.letters.breaks(everybody)
		w.refuseAll()
		synctest.Wait()
		for range 4 {
			w.takeAll()
			synctest.Wait()
		}
		if got := w.refuseAll(); got != 16 {
			t.Errorf("%d are tried at once, want 16", got)
		}
		synctest.Wait()
		if got := w.held(); got != 1 {
			t.Errorf("afterwards %d are tried at once, want 1", got)
		}
	})
}

// A letter of another packet that could be written ends the wait.
func TestWrittenLetterEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1)
		w.add(t, 1)
		synctest.Wait()
		w.letters.breaks(everybody)
		for range 10 {
			w.refuseAll()
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		w.refuseAll()
		w.letters.breaks(nil)
		w.add(t, 1)
		synctest.Wait()
		if w.refuseAll(); w.Books().DeadLettered.Packets != 1 {
			t.Error("the other one is no dead letter")
		}
		synctest.Wait()
		if got := w.held(); got != 1 {
			t.Errorf("%d are tried at once, want 1", got)
		}
	})
}

// One that comes back although no analyzer refused it goes on waiting, and one that
// analyzers fail with goes to the others of its kind; each ends once.
func TestUnwrittenPacketsThatMeetOtherTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		w.add(t, 1)
		synctest.Wait()
		for failures := 0; failures < strikesApart; {
			failures += w.failAll(true)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		w.letters.breaks(everybody)
		if w.refuseAll(); w.Books().SetApart != 0 {
			t.Error("what was refused for good counts as one that keeps failing")
		}
		synctest.Wait()
		w.tryAllInVain()
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		w.failAll(true)
		if got := w.Books().SetApart; got != 1 {
			t.Errorf("%d packets are set apart after another failure, want 1", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := w.takeAll(); got != 1 {
			t.Fatalf("%d packets are delivered", got)
		}
		if l := &w.ledger; l.ward.out != 0 || l.unwritten.out != 0 || w.Books().SetApart != 0 {
			t.Errorf("afterwards %d and %d are out, %d set apart", l.ward.out, l.unwritten.out, w.Books().SetApart)
		}
	})
}

// At the end nobody waits long.
func TestAtTheEndUnwrittenPacketsAreHurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1)
		w.add(t, 1)
		synctest.Wait()
		w.letters.breaks(everybody)
		for range len(waits) {
			w.refuseAll()
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		w.refuseAll()
		w.Drain()
		synctest.Wait()
		for range 3 {
			if w.refuseAll() != 1 {
				t.Error("it still waits")
			}
			time.Sleep(1200 * time.Millisecond)
			synctest.Wait()
		}
		if failed := w.letters.failed; failed > 13 || !slices.Equal(w.letters.kept, nil) {
			t.Errorf("%d letters could not be written, kept are %v", failed, w.letters.kept)
		}
	})
}
