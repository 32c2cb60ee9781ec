package faults

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"
)

// overloadRows are more than can be taken, and idle company.
func overloadRows() []row {
	return inMemory([]row{
		{
			name: "burst", fault: "a burst of 20 times the load for 2 s, far more than three slow analyzers can take, `INGEST_BUFFER_SIZE=150`",
			promise: "503 `overloaded` at once for what finds no room, and for nothing afterwards",
			env:     map[string]string{"INGEST_BUFFER_SIZE": "150"}, alone: true, do: burst,
		},
		{
			name: "memory-limited", fault: "far more than slow analyzers can take, in packets of 10 to 70 KB, `MEMORY_LIMIT_BYTES=33554432`, `GOMEMLIMIT=48MiB`",
			promise: "503 `overloaded` at once for what finds no room; memory stays bounded",
			env:     map[string]string{"MEMORY_LIMIT_BYTES": "33554432", "MAX_BODY_BYTES": "1048576", "GOMEMLIMIT": "48MiB"}, do: memoryLimited,
		},
		{
			name: "idle-connections", fault: "10 000 idle connections (1 000 with -short), and each half of a request on 100 more",
			promise: "nobody else notices; they cost little memory", short: true, do: idleConnections,
		},
	})
}

func burst(s *system) {
	const usual = 100
	s.takeSlowly(100 * time.Millisecond)
	s.begin(usual)
	s.emitters.pace(connections, 20*usual)
	s.last(2 * time.Second)
	s.emitters.pace(connections, usual)
	s.settleLoad()
	before := s.emitters.count(refused)
	s.emitters.awaitMore(s.t, accepted, 200)
	if after := s.emitters.count(refused); after > before {
		s.t.Errorf("%d packets were refused after the burst", after-before)
	}
	for code := range s.emitters.codes {
		if code != "503 overloaded" {
			s.t.Errorf("refused with %s", code)
		}
	}
	s.note("99 %% of refusals within %v", s.emitters.p99(true).Round(time.Millisecond))
}

// takeSlowly makes every analyzer take one packet a request, and that slowly:
// 24 in the time given, since each has 8 requests in flight.
func (s *system) takeSlowly(delay time.Duration) {
	for _, a := range s.analyzers {
		a.single = true
		a.behave(behaviour{Delay: delay})
	}
}

func memoryLimited(s *system) {
	const mostMemory = 100 // MiB: the limit, and what a Go program of this size needs itself
	s.takeSlowly(200 * time.Millisecond)
	s.emitters.filler.Store(10_000)
	s.hurry()
	s.emitters.awaitMore(s.t, refused, 100)
	s.last(2 * time.Second)
	s.emitters.halt()
	s.behaveAll(behaviour{})
	peak := s.distributor.peakMemory()
	if peak > mostMemory {
		s.t.Errorf("%d MiB of memory at the peak", peak)
	}
	s.note("%d MiB of memory at the peak; 99 %% of refusals within %v", peak, s.emitters.p99(true).Round(time.Millisecond))
}

// settleLoad waits until what a burst left behind is delivered.
func (s *system) settleLoad() {
	await(s.t, "the burst is over", func() bool {
		b, err := s.distributor.books()
		return err == nil && b.Packets-b.Delivered < 50
	})
}

func idleConnections(s *system) {
	count := 10_000
	if testing.Short() {
		count = 1_000
	}
	before := s.distributor.peakMemory()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(s.distributor.port))
	open := func() net.Conn {
		connection, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { connection.Close() })
		return connection
	}
	for range count {
		open()
	}
	for range 100 {
		if _, err := fmt.Fprint(open(), "POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			s.t.Fatal(err)
		}
	}
	s.emitters.awaitMore(s.t, accepted, 1000)
	s.calm("with idle connections")
	s.note("%d MiB of memory more at the peak", s.distributor.peakMemory()-before)
}
