package faults

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

const nothingLost = "ready again at once; nothing accepted is lost"

// crashRows are deaths of a distributor with a disk journal, and starts.
func crashRows() []row {
	small := map[string]string{"JOURNAL_MAX_BYTES": "1048576", "MAX_BODY_BYTES": "65536"}
	medium := map[string]string{"JOURNAL_MAX_BYTES": "67108864", "MAX_BODY_BYTES": "65536"}
	return onDisk([]row{
		{
			name: "distributor-killed", fault: "kill -9 of the distributor, again and again, under the load of 64 connections that never rest, while analyzers take 50 ms for each request",
			promise: nothingLost, env: medium, short: true, do: killedUnderLoad,
		},
		{
			name: "killed-in-rotation", fault: "the same while segments of 64 KiB begin and go many times a second and stragglers are moved (`JOURNAL_MAX_BYTES=1048576`, one slow analyzer)",
			promise: nothingLost, env: small, do: killedInRotation,
		},
		{
			name: "killed-while-storing", fault: "the same while all analyzers are away, and 1 to 3 kills more while it starts",
			promise: nothingLost, do: killedWhileStoring,
		},
		{
			name: "all-killed", fault: "two faults at once: kill -9 of the distributor and of all analyzers, which come back in random order",
			promise: nothingLost, do: allKilled,
		},
		{
			name: "analyzers-away", fault: "all analyzers are killed while it accepts, and come back (store and forward, `MEMORY_LIMIT_BYTES=16777216`); it is killed once in between",
			promise: "nobody is refused, memory stays bounded, all is delivered, by weight once slow start is over",
			env:     map[string]string{"MEMORY_LIMIT_BYTES": "16777216", "MAX_BODY_BYTES": "1048576"}, do: analyzersAway,
		},
		{
			name: "sigterm-leaves", fault: "SIGTERM under load while all analyzers hang, `SHUTDOWN_TIMEOUT_SEC=1`, then a start while they still do",
			promise: "what was left is delivered by the next run", env: map[string]string{"SHUTDOWN_TIMEOUT_SEC": "1"}, do: sigtermLeaves,
		},
		{
			name: "second-distributor", fault: "another distributor is started on the same `DATA_DIR`",
			promise: "it ends with an error that says why; the first is not disturbed", short: true, do: secondDistributor,
		},
	})
}

// onDisk says that rows are about the disk journal.
func onDisk(rows []row) []row {
	for i := range rows {
		rows[i].journal = disk
	}
	return rows
}

// rounds is how often a row kills the distributor.
func rounds() int {
	if testing.Short() {
		return min(*kills, 5)
	}
	return *kills
}

// killLoop kills the distributor under load and starts it again, and returns
// the longest time until it would accept.
func (s *system) killLoop(times int, path string, between func()) (slowest time.Duration) {
	for range times {
		s.emitters.awaitMore(s.t, accepted, 50)
		s.soon(150 * time.Millisecond)
		s.distributor.kill()
		between()
		slowest = max(slowest, s.distributor.startUntil(path))
	}
	return slowest
}

func nothing() {}

func killedUnderLoad(s *system) {
	s.behaveAll(Behaviour{Delay: 50 * time.Millisecond}) // so that something is always left
	s.hurry()
	slowest := s.killLoop(rounds(), "/readyz", nothing)
	s.behaveAll(Behaviour{})
	s.readyWithin(slowest)
}

func killedInRotation(s *system) {
	s.analyzers[0].behave(Behaviour{Delay: 200 * time.Millisecond})
	s.hurry()
	slowest := s.killLoop(rounds(), "/readyz", nothing)
	s.behaveAll(Behaviour{})
	s.readyWithin(slowest)
}

func killedWhileStoring(s *system) {
	for _, a := range s.analyzers {
		a.kill()
	}
	recovering := 0
	slowest := s.killLoop(rounds(), "/livez", func() {
		for range 1 + s.random.IntN(3) {
			s.distributor.launch()
			s.soon(40 * time.Millisecond)
			s.distributor.kill()
			recovering++
		}
	})
	for _, a := range s.analyzers {
		a.start()
	}
	s.readyWithin(slowest)
	s.note("%d kills while it started", recovering)
}

// readyWithin notes how long a start took, and fails for what is out of all
// proportion.
func (s *system) readyWithin(slowest time.Duration) {
	if slowest > 20*time.Second {
		s.t.Errorf("a start took %v", slowest)
	}
	s.note("%d kills, ready within %v", rounds(), slowest.Round(10*time.Millisecond))
}

func analyzersAway(s *system) {
	const mostMemory = 190 // MiB: the limit, and what a Go program of this size needs itself
	for _, a := range s.analyzers {
		a.kill()
		a.Single = false // or one would be too slow for its share
	}
	s.enlarge(2000)
	s.hurry()
	bytes := int64(*backlogMB) << 20
	await(s.t, "the backlog is stored", func() bool { return s.emitters.acceptedBytes() >= bytes })
	s.calmDown()
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
	s.settle()
	s.note("a backlog of %d MiB: ready in %v, delivered in %v", *backlogMB, ready.Round(10*time.Millisecond), time.Since(returned).Round(100*time.Millisecond))
	peak := max(before, s.distributor.peakMemory())
	if peak > mostMemory {
		s.t.Errorf("%d MiB of memory at the peak", peak)
	}
	s.note("%d MiB of memory at the peak", peak)
	s.noteShares()
}

// noteShares notes which share of the messages each analyzer got.
func (s *system) noteShares() {
	b, err := s.distributor.books()
	if err != nil {
		s.t.Fatal(err)
	}
	var parts []string
	for _, a := range s.analyzers {
		percent := 100 * float64(b.MessagesBy[a.name]) / float64(b.Messages)
		parts = append(parts, strconv.FormatFloat(percent, 'f', 1, 64))
	}
	s.note("shares %s %%", strings.Join(parts, "/"))
}

func sigtermLeaves(s *system) {
	s.behaveAll(Behaviour{Hang: true, Probes: true})
	s.emitters.awaitMore(s.t, accepted, 500)
	s.note("exit code %d", s.distributor.terminate())
	ready := s.distributor.startUntil("/livez")
	s.emitters.awaitMore(s.t, accepted, 100)
	s.behaveAll(Behaviour{})
	s.note("it served in %v", ready.Round(10*time.Millisecond))
}

func secondDistributor(s *system) {
	second := newDistributor(s.t, s.distributor.program)
	second.dataDir, second.env, second.flags = s.distributor.dataDir, s.distributor.env, s.distributor.flags
	second.launch()
	code := second.exit()
	said := strings.TrimSpace(second.logged())
	if code == 0 || !strings.Contains(said, s.distributor.dataDir) {
		s.t.Errorf("the second distributor ended with %d and said %q", code, said)
	}
	s.emitters.awaitMore(s.t, accepted, 500)
	s.calm("while another distributor was started")
	s.note("exit code %d", code)
}

func allKilled(s *system) {
	for range max(rounds()/4, 1) {
		s.soon(200 * time.Millisecond)
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
