package faults

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

const nothingLost = "ready again at once; nothing accepted is lost"

// crashRows are crashes and starts of a distributor with a disk journal.
func crashRows() []row {
	small := map[string]string{"JOURNAL_MAX_BYTES": "1048576", "MAX_BODY_BYTES": "65536"}
	medium := map[string]string{"JOURNAL_MAX_BYTES": "67108864", "MAX_BODY_BYTES": "65536"}
	return onDisk([]row{
		{
			name: "distributor-killed", fault: "kill -9 of the distributor, again and again, under a closed-loop load of 64 connections, while analyzers take 50 ms for each request",
			promise: nothingLost, env: medium, short: true, do: killedUnderLoad,
		},
		{
			name: "killed-in-rotation", fault: "the same while segments of 64 KiB begin and go many times a second and live records are rewritten (`JOURNAL_MAX_BYTES=1048576`, one slow analyzer)",
			promise: nothingLost, env: small, do: killedInRotation,
		},
		{
			name: "killed-while-storing", fault: "the same while all analyzers are away, and 1 to 3 kills more while it starts",
			promise: nothingLost, do: killedWhileStoring,
		},
		{
			name: "all-killed", fault: "two faults at once: kill -9 of the distributor and of all analyzers, which restart in random order",
			promise: nothingLost, do: allKilled,
		},
		{
			name: "analyzers-away", fault: "all analyzers are killed while it accepts, and restart (store and forward, `MEMORY_LIMIT_BYTES=16777216`); it is killed once in between",
			promise: "no packet is refused, memory stays bounded, all is delivered, by weight once slow start is over",
			env:     map[string]string{"MEMORY_LIMIT_BYTES": "16777216", "MAX_BODY_BYTES": "1048576"}, do: analyzersAway,
		},
		{
			name: "undelivered-killed", fault: "kill -9, again and again, with `ACK=delivered` and `ACK_TIMEOUT_MS=100`, while all analyzers hang",
			promise: "what was answered with 504 is accepted, and delivered once analyzers can take it",
			env:     map[string]string{"ACK": "delivered", "ACK_TIMEOUT_MS": "100"}, do: undeliveredKilled,
		},
		{
			name: "sigterm-leaves", fault: "SIGTERM under load while all analyzers hang, `SHUTDOWN_TIMEOUT_SEC=1`, then a start while they still hang",
			promise: "what was left is delivered by the next run", env: map[string]string{"SHUTDOWN_TIMEOUT_SEC": "1"}, do: sigtermLeaves,
		},
		{
			name: "sigterm-twice", fault: "SIGTERM twice under load while all analyzers hang, `SHUTDOWN_TIMEOUT_SEC=600`, then a start",
			promise: "it ends at the second signal; what was left is delivered by the next run",
			env:     map[string]string{"SHUTDOWN_TIMEOUT_SEC": "600", "SENDER_TIMEOUT_MS": "600000"}, do: sigtermTwice,
		},
		{
			name: "second-distributor", fault: "another distributor is started on the same `DATA_DIR`",
			promise: "it ends with an error that says why; the first is not disturbed", short: true, do: secondDistributor,
		},
	})
}

// onDisk sets the disk journal.
func onDisk(rows []row) []row {
	for i := range rows {
		rows[i].journal = disk
	}
	return rows
}

// rounds is the number of kills per row.
func rounds() int {
	if testing.Short() {
		return min(*kills, 5)
	}
	return *kills
}

// killLoop kills and restarts the distributor under load, and returns the
// longest time until it was ready.
func (s *system) killLoop(times int, path string, between func()) (slowest time.Duration) {
	for range times {
		s.emitters.awaitMore(s.t, accepted, 50)
		s.waitRandom(150 * time.Millisecond)
		s.distributor.kill()
		between()
		slowest = max(slowest, s.distributor.startUntil(path))
	}
	return slowest
}

func noop() {}

func killedUnderLoad(s *system) {
	s.setAllBehaviours(analyzertest.Behaviour{Delay: 50 * time.Millisecond}) // keeps packets undelivered
	s.closedLoop()
	slowest := s.killLoop(rounds(), "/readyz", noop)
	s.setAllBehaviours(analyzertest.Behaviour{})
	s.reportStarts(slowest)
}

func undeliveredKilled(s *system) {
	s.setAllBehaviours(analyzertest.Behaviour{Hang: true})
	s.closedLoop()
	slowest := s.killLoop(rounds(), "/livez", noop)
	s.setAllBehaviours(analyzertest.Behaviour{})
	s.reportStarts(slowest)
}

func killedInRotation(s *system) {
	s.analyzers[0].behave(analyzertest.Behaviour{Delay: 200 * time.Millisecond})
	s.closedLoop()
	slowest := s.killLoop(rounds(), "/readyz", noop)
	s.setAllBehaviours(analyzertest.Behaviour{})
	s.reportStarts(slowest)
}

func killedWhileStoring(s *system) {
	for _, a := range s.analyzers {
		a.kill()
	}
	recovering := 0
	slowest := s.killLoop(rounds(), "/livez", func() {
		for range 1 + s.random.IntN(3) {
			s.distributor.launch()
			s.waitRandom(40 * time.Millisecond)
			s.distributor.kill()
			recovering++
		}
	})
	for _, a := range s.analyzers {
		a.start()
	}
	s.reportStarts(slowest)
	s.report("%d kills while it started", recovering)
}

// reportStarts reports the duration of the slowest start, and fails with -judge if it is
// excessive.
func (s *system) reportStarts(slowest time.Duration) {
	if *judge && slowest > 20*time.Second {
		s.t.Errorf("the slowest start took %v", slowest)
	}
	s.report("%d kills, ready within %v", rounds(), slowest.Round(10*time.Millisecond))
}

func analyzersAway(s *system) {
	const maxMemory = 190 // MiB: the limit and the program's own need
	for _, a := range s.analyzers {
		a.kill()
		a.Single = false // else one would be too slow for its share
	}
	s.enlarge(2000)
	s.closedLoop()
	bytes := int64(*backlogMB) << 20
	await(s.t, "the backlog is stored", func() bool { return s.emitters.acceptedBytes() >= bytes })
	s.resetRates()
	s.enlarge(0)
	if n := s.emitters.count(refused); n > 0 {
		s.t.Errorf("refused while storing: %s", s.emitters.records().refusals())
	}
	before := s.distributor.peakMemory()
	s.distributor.kill()
	ready := s.distributor.startUntil("/livez")
	for _, a := range s.analyzers {
		a.start()
	}
	returned := time.Now()
	s.emitters.halt()
	s.awaitDelivery()
	s.report("a backlog of %d MiB: ready in %v, delivered in %v", *backlogMB, ready.Round(10*time.Millisecond), time.Since(returned).Round(100*time.Millisecond))
	peak := max(before, s.distributor.peakMemory())
	if peak > maxMemory {
		s.t.Errorf("%d MiB of memory at the peak", peak)
	}
	s.report("%d MiB of memory at the peak", peak)
	s.reportShares()
}

// reportShares reports each analyzer's share of the messages.
func (s *system) reportShares() {
	b, err := s.distributor.totals()
	if err != nil {
		s.t.Fatal(err)
	}
	var parts []string
	for _, a := range s.analyzers {
		percent := 100 * float64(b.MessagesBy[a.name]) / float64(b.Messages)
		parts = append(parts, strconv.FormatFloat(percent, 'f', 1, 64))
	}
	s.report("shares %s %%", strings.Join(parts, "/"))
}

func sigtermLeaves(s *system) {
	s.setAllBehaviours(analyzertest.Behaviour{Hang: true, Probes: true})
	s.emitters.awaitMore(s.t, accepted, 500)
	s.report("exit code %d", s.distributor.terminate())
	ready := s.distributor.startUntil("/livez")
	s.emitters.awaitMore(s.t, accepted, 100)
	s.setAllBehaviours(analyzertest.Behaviour{})
	s.report("it served in %v", ready.Round(10*time.Millisecond))
}

// sigtermTwice sends signals until the process ends, as those that follow the first at once
// count as the same one.
func sigtermTwice(s *system) {
	s.setAllBehaviours(analyzertest.Behaviour{Hang: true})
	s.emitters.awaitMore(s.t, accepted, 500)
	s.distributor.signal(syscall.SIGTERM)
	await(s.t, "packets are refused", func() bool { return s.emitters.records().codes()["503 draining"] > 0 })
	await(s.t, "the distributor ends", func() bool {
		_ = s.distributor.command.Process.Signal(syscall.SIGTERM) // it may have ended
		return !s.distributor.running()
	})
	s.setAllBehaviours(analyzertest.Behaviour{})
	s.distributor.start()
	s.emitters.awaitMore(s.t, accepted, 100)
}

func secondDistributor(s *system) {
	second := newDistributor(s.t, s.distributor.program)
	second.dataDir, second.env, second.flags = s.distributor.dataDir, s.distributor.env, s.distributor.flags
	second.launch()
	code := second.exit()
	log := strings.TrimSpace(second.logged())
	if code == 0 || !strings.Contains(log, s.distributor.dataDir) {
		s.t.Errorf("the second distributor ended with %d and said %q", code, log)
	}
	s.emitters.awaitMore(s.t, accepted, 500)
	s.assertUnaffected("while another distributor was started")
	s.report("exit code %d", code)
}

func allKilled(s *system) {
	for range max(rounds()/4, 1) {
		s.waitRandom(200 * time.Millisecond)
		s.distributor.kill()
		for _, a := range s.analyzers {
			a.kill()
		}
		starts := []func(){s.distributor.launch}
		for _, a := range s.analyzers {
			starts = append(starts, a.start)
		}
		s.random.Shuffle(len(starts), func(i, j int) { starts[i], starts[j] = starts[j], starts[i] })
		for _, start := range starts {
			start()
		}
		s.emitters.awaitMore(s.t, accepted, 200)
	}
}
