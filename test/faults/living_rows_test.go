package faults

import (
	"net/http"
	"syscall"
	"time"
)

const calmAndBack = "no emitter sees an error while another analyzer lives; with none, 503 at once; full service when they are back"

// livingRows are faults around a distributor that lives, and stops of it.
func livingRows() []row {
	each := func(name, what string, strike func(*analyzer)) row {
		return row{
			name: name, fault: what + ": each analyzer in turn, then all at once",
			promise: calmAndBack, do: func(s *system) { s.inTurnThenAll(strike) },
		}
	}
	rows := []row{
		each("analyzer-killed", "kill -9", (*analyzer).kill),
		each("analyzer-stopped", "SIGSTOP", (*analyzer).pause),
		each("analyzer-hangs", "packets and probes are never answered", does(behaviour{Hang: true, Probes: true})),
		each("analyzer-hangs-healthily", "probes are answered, packets never", does(behaviour{Hang: true})),
		each("analyzer-500", "every packet is answered with 500", does(behaviour{Status: http.StatusInternalServerError})),
		each("analyzer-resets", "connections are reset once the packet is read", does(behaviour{Reset: true, Probes: true})),
		each("analyzer-forgets", "packets are taken, but connections reset instead of an answer", does(behaviour{Forget: true})),
		each("analyzer-refuses", "the port is closed", does(behaviour{Refuse: true})),
		{
			name: "analyzer-pauses", fault: "429 and 503 with `Retry-After: 1`, each analyzer in turn",
			promise: "no emitter sees an error; it is no failure, the analyzer stays healthy", do: pausing,
		},
		{
			name: "analyzer-slow", fault: "one analyzer becomes 100 times slower (200 ms instead of 2) for 3 s",
			promise: "no refusal; the others take over", short: true, do: slowAnalyzer,
		},
		{
			name: "analyzer-hiccups", fault: "pauses as a garbage collector makes: every 20th request takes 250 ms on one, every 2nd 100 ms on another",
			promise: "no refusal", do: hiccups,
		},
		{
			name: "analyzer-flaps", fault: "one analyzer is up for 1 s and killed for 1 s, for 15 s",
			promise: "no emitter sees an error; the number of trials is bounded", do: flapping,
		},
		{
			name: "partition", fault: "the network to one analyzer drops everything, then the link goes down",
			promise: "no emitter sees an error; it joins again when the network is back", needs: noNamespaces, alone: true, do: partition,
		},
		{
			name: "distributor-stopped", fault: "SIGSTOP of the distributor for 2 s under load, then SIGCONT",
			promise: "requests wait and are answered; none is refused or lost", do: distributorStopped,
		},
		{
			name: "two-faults", fault: "kill -9 of an analyzer while the distributor is stopped for 1 s; another answers 500 meanwhile",
			promise: "the third analyzer takes over; nothing is lost", do: twoFaults,
		},
		{
			name: "clock-jumps", fault: "the wall clock jumps by an hour, forth and back, every 300 ms (a build of the distributor with such a clock)",
			promise: "nothing is noticed: all waiting is done by the monotonic clock", alone: true, do: clockJumps,
		},
		{
			name: "sigterm-slow", fault: "SIGTERM under load while each request takes the analyzers 100 ms",
			promise: "new packets are refused, all accepted ones are delivered, exit code 0", short: true, do: sigtermSlow,
		},
		{
			name: "sigterm-hanging", fault: "SIGTERM under load while all analyzers hang, `SHUTDOWN_TIMEOUT_SEC=1`",
			promise: "what cannot be delivered is reported, to the packet; exit code 1", env: map[string]string{"SHUTDOWN_TIMEOUT_SEC": "1"}, do: sigtermHanging,
		},
	}
	return inMemory(rows)
}

// inMemory says that rows are about the memory journal.
func inMemory(rows []row) []row {
	for i := range rows {
		rows[i].journal = memory
	}
	return rows
}

func does(b behaviour) func(*analyzer) {
	return func(a *analyzer) { a.behave(b) }
}

// inTurnThenAll does something to each analyzer and takes it back, and then to
// all of them at once.
func (s *system) inTurnThenAll(strike func(*analyzer)) {
	all := len(s.analyzers)
	var slowest time.Duration
	for _, a := range s.analyzers {
		s.soon(100 * time.Millisecond)
		struck := time.Now()
		strike(a)
		s.distributor.awaitHealthy(all - 1)
		slowest = max(slowest, time.Since(struck))
		s.last(200 * time.Millisecond)
		a.heal()
		s.distributor.awaitHealthy(all)
		s.emitters.awaitMore(s.t, accepted, 100)
		s.calm("while one analyzer was in trouble")
	}
	for _, a := range s.analyzers {
		strike(a)
	}
	s.emitters.awaitMore(s.t, refused, 100)
	for _, a := range s.analyzers {
		a.heal()
	}
	s.distributor.awaitHealthy(all)
	s.emitters.awaitMore(s.t, accepted, 300)
	s.note("noticed within %v", slowest.Round(10*time.Millisecond))
	s.note("99 %% of refusals within %v", s.emitters.p99(true).Round(time.Millisecond))
}

func pausing(s *system) {
	for i, a := range s.analyzers {
		status := []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}[i%2]
		a.behave(behaviour{Status: status, RetryAfter: "1"})
		s.last(500 * time.Millisecond)
		a.behave(behaviour{})
		s.last(1200 * time.Millisecond)
	}
	s.calm("while an analyzer asked for a pause")
	if b, err := s.distributor.books(); err != nil || b.Healthy != len(s.analyzers) {
		s.t.Errorf("analyzers that ask for a pause became unhealthy: %+v %v", b, err)
	}
}

func slowAnalyzer(s *system) {
	s.behaveAll(behaviour{Delay: 2 * time.Millisecond})
	s.emitters.awaitMore(s.t, accepted, 500)
	s.analyzers[0].behave(behaviour{Delay: 200 * time.Millisecond})
	s.last(3 * time.Second)
	s.analyzers[0].behave(behaviour{Delay: 2 * time.Millisecond})
	s.emitters.awaitMore(s.t, accepted, 500)
	s.calm("while one analyzer was slow")
	s.note("99 %% of answers within %v", s.emitters.p99(false).Round(time.Millisecond))
}

func hiccups(s *system) {
	s.analyzers[0].behave(behaviour{Delay: 250 * time.Millisecond, Every: 20})
	s.analyzers[1].behave(behaviour{Delay: 100 * time.Millisecond, Every: 2})
	s.last(3 * time.Second)
	s.behaveAll(behaviour{})
	s.calm("while analyzers paused now and then")
}

func flapping(s *system) {
	a := s.analyzers[0]
	for range 7 {
		a.kill()
		s.last(time.Second)
		a.start()
		s.last(time.Second)
	}
	s.calm("while one analyzer flapped")
	trials := s.distributor.countLogged("trying a few packets")
	if trials > 10 {
		s.t.Errorf("%d trials in 7 rounds", trials)
	}
	s.note("%d trials", trials)
}

func distributorStopped(s *system) {
	s.distributor.signal(syscall.SIGSTOP)
	s.last(2 * time.Second)
	s.distributor.signal(syscall.SIGCONT)
	s.emitters.awaitMore(s.t, accepted, 500)
	s.calm("after the distributor was stopped")
}

func twoFaults(s *system) {
	s.analyzers[1].behave(behaviour{Status: http.StatusInternalServerError})
	s.soon(300 * time.Millisecond)
	s.distributor.signal(syscall.SIGSTOP)
	s.analyzers[0].kill()
	s.last(time.Second)
	s.distributor.signal(syscall.SIGCONT)
	s.distributor.awaitHealthy(1)
	s.emitters.awaitMore(s.t, accepted, 500)
	for _, a := range s.analyzers[:2] {
		a.heal()
	}
	s.distributor.awaitHealthy(len(s.analyzers))
}

func sigtermSlow(s *system) {
	s.behaveAll(behaviour{Delay: 100 * time.Millisecond})
	s.emitters.awaitMore(s.t, accepted, 500)
	if code := s.distributor.terminate(); code != 0 {
		s.t.Errorf("exit code %d although everything could be delivered", code)
	}
	if left := s.distributor.leftBehind(); left != 0 {
		s.t.Errorf("%d packets were left", left)
	}
}

// sigtermHanging allows for as many lost packets as were reported, and fails
// when it was not that many.
func sigtermHanging(s *system) {
	s.behaveAll(behaviour{Hang: true, Probes: true})
	s.emitters.awaitMore(s.t, refused, 20)
	if code := s.distributor.terminate(); code != 1 {
		s.t.Errorf("exit code %d although packets were left", code)
	}
	s.emitters.halt()
	left := s.distributor.leftBehind()
	lost := len(compare(s.emitters.outcomes, s.analyzers).Lost)
	if lost != left || left == 0 {
		s.t.Errorf("%d packets were reported as left and %d are lost", left, lost)
	}
	s.mayLose = left
	s.note("%d reported as left", left)
}
