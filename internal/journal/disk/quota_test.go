package disk

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/emitterquota"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// sharing appends packets of several emitters to a small journal.
type sharing struct {
	*fixture
	journal   *Journal
	packets   journaltest.Packets
	principal string
	now       time.Time
	made      int
}

func (s *sharing) put(t *testing.T, emitter string) error {
	t.Helper()
	s.made++
	p := s.packets.Make(t, emitter, fmt.Sprint(s.made), 500)
	p.Principal, p.Accepted = s.principal, s.now // at one moment, so that the other emitter is active, too
	_, err := s.journal.Append([]*packet.Packet{p})
	if err != nil && !errors.Is(err, journal.ErrFull) {
		t.Fatal(err)
	}
	return err
}

// press appends packets of one emitter until one is refused.
func (s *sharing) press(t *testing.T, emitter string) (taken int) {
	t.Helper()
	for s.put(t, emitter) == nil {
		taken++
	}
	return taken
}

// An emitter that sends more than the capacity is refused before others; acknowledged packets
// and those of an earlier run are accounted.
func TestQuotaLimitsANoisyEmitter(t *testing.T) {
	s := sharing{fixture: newFixture(), now: time.Now()}
	s.maxBytes = 1 << 20
	for run := range 3 {
		s.journal = s.open(t)
		s.journal.Ack(fetchAll(t, s.journal))
		for range 20 { // acknowledgements release the quota
			if err := s.put(t, "calm"); err != nil {
				t.Fatal(err)
			}
			noisy := s.press(t, "noisy")
			if limit := 1 << 20 / 500; noisy < limit*6/10 || noisy > limit*9/10 {
				t.Fatalf("run %d: the noisy emitter has %d of %d packets, want about 8/9", run, noisy, limit)
			}
			for i := range 20 {
				if err := s.put(t, "calm"); err != nil {
					t.Fatalf("in run %d packet %d of the calm emitter: %v", run, i, err)
				}
			}
			s.journal.Ack(fetchAll(t, s.journal))
		}
		s.press(t, "noisy") // the next start reads all of them
		s.kill(s.journal)
	}
}

// Two principals with the same emitter id have a quota each, also of packets that were read back
// from the disk, in the run that accepted them and in the next one.
func TestQuotaOfPrincipals(t *testing.T) {
	s := sharing{fixture: newFixture(), now: time.Now()}
	s.maxBytes = 1 << 20
	s.journal = s.open(t)
	calm := func() {
		t.Helper()
		s.principal = "calm"
		for i := range 20 {
			if err := s.put(t, "emitter"); err != nil {
				t.Fatalf("packet %d of the calm principal: %v", i, err)
			}
		}
	}
	calm()
	s.principal = "noisy"
	if noisy, limit := s.press(t, "emitter"), 1<<20/500; noisy < limit*6/10 || noisy > limit*9/10 {
		t.Fatalf("the noisy principal has %d of %d packets, want about 8/9", noisy, limit)
	}
	calm()
	s.kill(s.journal)
	s.memory = 100_000 // a part of them is in memory
	s.journal = s.open(t)
	calm()
	for s.journal.Stats().Queued.Packets > 0 {
		if fetched := journaltest.Fetch(s.journal, nil, 100); len(fetched) > 0 {
			s.journal.Ack(fetched)
		} else {
			<-s.journal.Ready()
		}
	}
	if s.journal.quota != (emitterquota.Quota{}) {
		t.Error("nothing is left, and an emitter is charged")
	}
	s.kill(s.journal)
}

// Packets that are lost to damage are no longer charged once the backlog is read, and the others
// are.
func TestDamageReleasesItsQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sharing{fixture: newFixture(), now: time.Now()}
		s.memory = 400_000 // a part of the packets is on disk only
		s.journal = s.open(t)
		defer s.journal.Close()
		for range 300 {
			_, _ = s.put(t, "one"), s.put(t, "two")
		}
		damaged := s.journal.backlog.At(s.journal.backlog.Len() / 2).segment.path
		s.disk.failWhen(errors.New("a bad disk"), func(operation, path string) bool { return operation == "read" && path == damaged })
		fetched := journaltest.Fetch(s.journal, nil, 1)
		for s.journal.Stats().Queued.Packets > 0 {
			time.Sleep(time.Minute)
			s.journal.Ack(journaltest.Fetch(s.journal, nil, 100))
		}
		if lost := s.journal.Stats().Damaged.Packets; lost == 0 || lost >= 300 {
			t.Fatalf("%d of 600 packets are lost", lost)
		}
		var want emitterquota.Quota
		want.Add(fetched[0].Slot, recordBytes(fetched[0]))
		if s.journal.quota != want {
			t.Error("the quota is not that of the packet that is left")
		}
	})
}

// Packets of a failed commit are not charged.
func TestFailedCommitReleasesItsQuota(t *testing.T) {
	s := sharing{fixture: newFixture(), now: time.Now()}
	s.journal = s.open(t)
	s.disk.fail("sync", errors.New("a bad disk"))
	defer s.journal.Close()
	p := s.packets.Make(t, "emitter", "1", 500)
	if _, err := s.journal.Append([]*packet.Packet{p}); err == nil {
		t.Fatal("a packet that cannot be synced was taken")
	}
	if !s.journal.quota.Admits(p.Slot, 1, 1, true) {
		t.Error("the emitter is still charged")
	}
}
