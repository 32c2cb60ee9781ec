package distributor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// checkProof checks that the terms of a proof add up.
func checkProof(t testing.TB, p DrainProof) {
	t.Helper()
	if p.Unaccounted != 0 || p.RoutedSince != 0 || p.Held.Packets != p.Delivered+p.Rerouted+p.DeadLettered+p.Remaining {
		t.Errorf("the proof does not add up: %+v", p)
	}
}

func (s *system) setState(t testing.TB, id, state string) {
	t.Helper()
	if err := s.reconfigure(t, func(c *Config) { c.change(id, func(t *Target) { t.State = state }) }); err != nil {
		t.Fatal(err)
	}
}

// A drain under load delivers the packets that the analyzer holds, and its proof accounts for them.
func TestDrainUnderLoad(t *testing.T) {
	analyzers, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	end := s.load(8, true)
	for i := range 6 {
		s.setState(t, "analyzer-2", []string{StateDrain, StateMaint}[i%2])
		proof, err := s.Drain(t.Context(), "analyzer-2", time.Now().Add(time.Minute))
		if err != nil || proof.Remaining != 0 {
			t.Fatalf("%+v, %v", proof, err)
		}
		checkProof(t, proof)
		before := takenBy(analyzers[1])
		s.send(1, 1, 1, 1, 1, 1, 1, 1)
		// The analyzer may still take packets of the requests that were interrupted.
		if got := takenBy(analyzers[1]); int64(got-before) > proof.PossibleDuplicates {
			t.Errorf("the drained analyzer took %d packets, %d may have been under way", got-before, proof.PossibleDuplicates)
		}
		s.setState(t, "analyzer-2", StateReady)
		if _, err := s.Drain(t.Context(), "analyzer-2", time.Now()); err == nil {
			t.Error("a drain of an analyzer that is ready succeeds")
		}
		until(t, "the analyzer gets packets again", func() bool { return takenBy(analyzers[1]) > before })
	}
	end()
	until(t, "all is delivered", func() bool {
		status := s.Status()
		return status.Delivered == status.Accepted
	})
	s.onlyAccepted(t)
	s.nothingLost(t, analyzers...)
}

// At the deadline the packets that a hanging analyzer holds are rerouted.
func TestDrainDeadline(t *testing.T) {
	analyzers, targets := threeScripted(t)
	config := quick(t, targets...)
	config.Analyzer.Timeout = time.Hour
	s := startSystem(t, config)
	analyzers[0].Behave(analyzertest.Behaviour{Hang: true})
	s.send(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	until(t, "the analyzer has got packets", func() bool { return analyzers[0].Requests() > 0 })
	s.setState(t, "analyzer-1", StateDrain)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	proof, err := s.Drain(ctx, "analyzer-1", time.Now().Add(time.Hour))
	if !errors.Is(err, context.Canceled) || proof.Remaining == 0 || proof.Result != DrainRunning {
		t.Errorf("a canceled drain: %+v, %v", proof, err)
	}
	checkProof(t, proof)
	proof, err = s.Drain(t.Context(), "analyzer-1", time.Now())
	if err != nil || proof.Remaining != 0 || proof.Rerouted == 0 || proof.Rerouted != proof.Held.Packets || proof.PossibleDuplicates == 0 || proof.Result != DrainCut {
		t.Errorf("%+v, %v", proof, err)
	}
	checkProof(t, proof)
	until(t, "all is delivered", func() bool { return s.Status().Delivered.Packets == 10 })
}

// A removed analyzer delivers the packets that it holds until its deadline, which may be changed;
// its proof is reported once.
func TestRemovalEndsWithAProof(t *testing.T) {
	analyzers, targets := threeScripted(t)
	config := quick(t, targets...)
	config.Analyzer.Timeout, config.DrainTimeout = time.Hour, time.Hour
	s := startAlone(t, config)
	proofs := make(chan DrainProof, 2)
	s.onRemoved = func(id, _ string, p DrainProof) { proofs <- p }
	until(t, "all analyzers are healthy", func() bool { return s.eligible() == 3 })
	analyzers[0].Behave(analyzertest.Behaviour{Hang: true})
	s.send(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	until(t, "the analyzer has got packets", func() bool { return analyzers[0].Requests() > 0 })
	changed := time.Now()
	moved := analyzertest.New(t) // an analyzer with the same id at another URL
	if err := s.reconfigure(t, func(c *Config) { c.change("analyzer-1", func(t *Target) { t.URL = moved.URL() }) }); err != nil {
		t.Fatal(err)
	}
	status := s.Status()
	if len(status.Leaving) != 1 || len(status.Analyzers) != 3 || status.Unaccounted != 0 || status.Leaving[0].InFlight.Packets == 0 {
		t.Errorf("%+v", status)
	}
	s.send(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	until(t, "the new one gets packets", func() bool { return takenBy(moved) > 0 })
	if err := s.SetDrainDeadline("analyzer-1", time.Now(), time.Now()); err == nil || len(s.Status().Leaving) != 1 {
		t.Error("the deadline of an analyzer that leaves is changed by a later removal of its id")
	}
	if err := s.SetDrainDeadline("analyzer-1", changed, time.Now()); err != nil {
		t.Error(err)
	}
	proof := <-proofs
	checkProof(t, proof)
	if proof.Held.Packets == 0 || proof.Rerouted != proof.Held.Packets || proof.Result != DrainCut {
		t.Errorf("%+v", proof)
	}
	until(t, "all is delivered", func() bool { return s.Status().Delivered.Packets == 20 })
	if err := s.SetDrainDeadline("analyzer-1", changed, time.Now()); err == nil {
		t.Error("nothing is leaving and has a deadline")
	}
	s.stop(t)
	s.nothingLost(t, append(analyzers, moved)...)
}
