package faults

import (
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/test/binary"
)

// withClock builds a distributor with a clock.
func withClock(t *testing.T, c binary.Clock, variant string) string {
	t.Helper()
	program, err := programs.program("-"+variant, c.Flags(t)...)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func clockJumps(s *system) {
	s.distributor.program = withClock(s.t, binary.JumpForthAndBack, "jumping")
	s.begin()
	s.wait(2 * time.Second)
	s.assertUnaffected("while the clock jumped")
	s.analyzers[0].kill()
	s.distributor.awaitHealthy(len(s.analyzers) - 1)
	s.analyzers[0].start()
	s.distributor.awaitHealthy(len(s.analyzers))
	s.assertUnaffected("while the clock jumped and an analyzer was away")
}

func clockSetBack(s *system) {
	s.distributor.program = withClock(s.t, binary.SetBackRepeatedly, "set-back")
	s.begin()
	r := newScenarioRunner(s, scenario{})
	byWeight := condition{Shares: make(map[string]float64)}
	for _, a := range s.analyzers {
		byWeight.Shares[a.name] = a.Weight
	}
	first := s.analyzers[0]
	first.behave(analyzertest.Behaviour{Status: 429, RetryAfter: "1"})
	s.wait(time.Second / 2)
	first.behave(analyzertest.Behaviour{})
	r.await(byWeight)
	first.kill()
	s.distributor.awaitHealthy(len(s.analyzers) - 1)
	first.start()
	s.distributor.awaitHealthy(len(s.analyzers))
	r.await(byWeight)
	s.assertUnaffected("while the clock was set back")
}
