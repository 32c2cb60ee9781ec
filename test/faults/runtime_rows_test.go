package faults

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// runtimeRows are faults around a running distributor, and stops of it, that
// need Go code.
func runtimeRows() []row {
	return inMemory([]row{
		{
			name: "partition", fault: "the network to one analyzer drops everything, then the link goes down",
			promise: "no emitter sees an error; it joins again when the network is back", needs: noNamespaces, alone: true, do: partition,
		},
		{
			name: "few-descriptors", fault: "the process may open 256 files, and 300 clients open connections, half of them in the middle of a request",
			promise: "descriptors are left for analyzers: none becomes unhealthy, and open connections continue", short: true, needs: noPrlimit, alone: true, do: fewDescriptors,
		},
		{
			name: "clock-jumps", fault: "the wall clock jumps by an hour, forth and back, every 300 ms (a build of the distributor with such a clock)",
			promise: "no effect: all timers use the monotonic clock", alone: true, do: clockJumps,
		},
		{
			name: "clock-set-back", fault: "the wall clock is set back by an hour every 300 ms, while an analyzer asks for a pause of 1 s, and is killed and restarted",
			promise: "pause and slow start last as long as they should: it has its share again", alone: true, do: clockSetBack,
		},
		{
			name: "sigterm-slow", fault: "SIGTERM under load while each request takes the analyzers 100 ms",
			promise: "new packets are refused, all accepted ones are delivered, exit code 0", short: true, do: sigtermSlow,
		},
		{
			name: "sigterm-hanging", fault: "SIGTERM under load while all analyzers hang, `SHUTDOWN_TIMEOUT_SEC=1`",
			promise: "what cannot be delivered is reported, to the packet; exit code 1", env: map[string]string{"SHUTDOWN_TIMEOUT_SEC": "1"}, do: sigtermHanging,
		},
		{
			name: "delivered-killed", fault: "kill -9 of the distributor, again and again, with `ACK=delivered`",
			promise: "what was answered with 200 is delivered, without a journal", env: map[string]string{"ACK": "delivered", "ACK_TIMEOUT_MS": "600000"}, do: deliveredKilled,
		},
	})
}

// inMemory sets the memory journal.
func inMemory(rows []row) []row {
	for i := range rows {
		rows[i].journal = memory
	}
	return rows
}

func sigtermSlow(s *system) {
	s.setAllBehaviours(analyzertest.Behaviour{Delay: 100 * time.Millisecond})
	s.emitters.awaitMore(s.t, accepted, 500)
	if code := s.distributor.terminate(); code != 0 {
		s.t.Errorf("exit code %d although everything could be delivered", code)
	}
	if left := s.distributor.undeliveredLogged(); left != 0 {
		s.t.Errorf("%d packets were left", left)
	}
}

// sigtermHanging expects exactly as many lost packets as were reported.
func sigtermHanging(s *system) {
	s.setAllBehaviours(analyzertest.Behaviour{Hang: true, Probes: true})
	s.emitters.awaitMore(s.t, refused, 20)
	if code := s.distributor.terminate(); code != 1 {
		s.t.Errorf("exit code %d although packets were left", code)
	}
	s.emitters.halt()
	left := s.distributor.undeliveredLogged()
	lost := len(checkConservation(s.emitters.outcomes, s.analyzers).Lost)
	if lost != left || left == 0 {
		s.t.Errorf("%d packets were reported as left and %d are lost", left, lost)
	}
	s.maxLost = left
	s.report("%d reported as left", left)
}

func deliveredKilled(s *system) {
	s.setAllBehaviours(analyzertest.Behaviour{Delay: 20 * time.Millisecond}) // keeps packets undelivered
	s.reportStarts(s.killLoop(rounds(), "/readyz", noop))
}

// noPrlimit returns why the limit of open files cannot be set here, or "".
func noPrlimit() string {
	if _, err := exec.LookPath("prlimit"); err != nil {
		return err.Error()
	}
	return ""
}

func fewDescriptors(s *system) {
	s.distributor.within = []string{"prlimit", "--nofile=256"}
	s.begin()
	for n := range 300 {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.distributor.url(""), "http://"), 5*time.Second)
		if err != nil {
			s.t.Fatalf("connection %d: %v", n, err)
		}
		defer conn.Close()
		if n%2 == 0 {
			_, _ = io.WriteString(conn, "POST /ingest HTTP/1.1\r\nHost: distributor\r\nContent-Length: 60000\r\n\r\n{")
		}
	}
	s.emitters.awaitMore(s.t, accepted, 500)
	if log := s.distributor.logged(); strings.Contains(log, "state=degraded") || strings.Contains(log, "state=panic") {
		s.t.Errorf("an analyzer became unhealthy:\n%s", log)
	}
}
