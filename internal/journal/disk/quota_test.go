package disk

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// sharing puts packets of emitters into a small journal.
type sharing struct {
	*fixture
	journal *Journal
	packets journaltest.Packets
	now     time.Time
	made    int
}

func (s *sharing) put(t *testing.T, emitter string) error {
	t.Helper()
	s.made++
	p := s.packets.Make(t, emitter, fmt.Sprint(s.made), 500)
	p.Accepted = s.now // at one moment, so that the other emitter is there, too
	_, err := s.journal.Append([]*packet.Packet{p})
	if err != nil && !errors.Is(err, journal.ErrFull) {
		t.Fatal(err)
	}
	return err
}

// press puts packets of one emitter until one is refused.
func (s *sharing) press(t *testing.T, emitter string) (taken int) {
	t.Helper()
	for s.put(t, emitter) == nil {
		taken++
	}
	return taken
}

// One emitter that sends more than fits on disk is refused before a calm one
// is, and what is delivered, or of an earlier run, counts right.
func TestANoisyEmitterLeavesRoomOnDisk(t *testing.T) {
	s := sharing{fixture: newFixture(), now: time.Now()}
	s.maxBytes = 1 << 20
	for run := range 3 {
		s.journal = s.open(t)
		s.journal.Ack(claimAll(t, s.journal))
		for range 20 { // what is delivered gives its share back
			if err := s.put(t, "calm"); err != nil {
				t.Fatal(err)
			}
			noisy := s.press(t, "noisy")
			if most := 1 << 20 / 500; noisy < most*6/10 || noisy > most*9/10 {
				t.Fatalf("in run %d the noisy emitter has %d packets of about %d, 8/9 at most are wanted", run, noisy, most)
			}
			for i := range 20 {
				if err := s.put(t, "calm"); err != nil {
					t.Fatalf("in run %d packet %d of the calm emitter: %v", run, i, err)
				}
			}
			s.journal.Ack(claimAll(t, s.journal))
		}
		s.press(t, "noisy") // all of which is there at the next start
		s.kill(s.journal)
	}
}

// What a failed commit refused has no share.
func TestARefusedCommitGivesItsShareBack(t *testing.T) {
	s := sharing{fixture: newFixture(), now: time.Now()}
	s.journal = s.open(t)
	s.disk.fail("sync", errors.New("a bad disk"))
	defer s.journal.Close()
	p := s.packets.Make(t, "emitter", "1", 500)
	if _, err := s.journal.Append([]*packet.Packet{p}); err == nil {
		t.Fatal("a packet that cannot be synced was taken")
	}
	if !s.journal.quota.Admits(p.Slot, 1, 1, true) {
		t.Error("the emitter still has a share")
	}
}
