//go:build linux

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// load sends requests over persistent connections. In a closed loop each
// connection sends after each response; with a rate, requests have due times
// and latency is measured from the due time.
type load struct {
	loop        *loop
	ledger      *ledger
	tls         *tls.Config // nil without TLS
	connections []*loadConn
	free        []*loadConn

	sending  bool
	interval time.Duration // between requests; 0 is a closed loop
	due      time.Time
	busy     int
	paused   []*loadConn // ordered by resume time

	refused int64 // packets refused for lack of capacity
	fault   error // the first error that invalidates the round
	latency *hdrhistogram.Histogram
}

// newLoad connects to the ports in turn, with TLS unless secure is nil.
func newLoad(l *loop, ledger *ledger, ports []int, connections int, secure *tls.Config, build func() *request) (*load, error) {
	load := &load{loop: l, ledger: ledger, tls: secure, latency: hdrhistogram.New(1, int64(time.Minute), 3)}
	for i := range connections {
		port := ports[i%len(ports)]
		e := &loadConn{load: load, request: build()}
		if err := e.connect(port); err != nil {
			load.close()
			return nil, fmt.Errorf("connect to port %d: %w", port, err)
		}
		load.connections = append(load.connections, e)
	}
	load.free = append(load.free, load.connections...)
	return load, nil
}

func (l *load) close() {
	for _, e := range l.connections {
		l.loop.remove(e.socket.fd)
	}
}

// send sends for the given time and waits for the last response. rate is in
// requests per second; 0 is a closed loop.
func (l *load) send(duration time.Duration, rate float64) error {
	l.refused, l.fault = 0, nil
	l.latency.Reset()
	l.sending = true
	end := time.Now().Add(duration)
	run := l.loop.run
	if l.interval = 0; rate > 0 {
		l.interval, l.due = time.Duration(float64(time.Second)/rate), time.Now()
		run = l.loop.busyPoll
	} else {
		l.startAll()
	}
	err := run(2*duration, func(now time.Time) bool {
		l.resume(now)
		l.sendDue(now)
		return !now.Before(end) || l.fault != nil
	})
	l.sending = false
	const timeout = 20 * time.Second
	last := l.loop.run(timeout, func(now time.Time) bool {
		l.resume(now)
		return l.busy == 0 && len(l.paused) == 0 || l.fault != nil
	})
	if errors.Is(last, errTimeout) {
		last = fmt.Errorf("%d requests were not answered within %v", l.busy, timeout)
	}
	return errors.Join(err, l.fault, last)
}

func (l *load) startAll() {
	free := l.free
	l.free = l.free[:0]
	for _, e := range free {
		e.send(time.Now())
	}
}

// sendDue sends the due requests while connections are free; the others wait
// and keep their due times.
func (l *load) sendDue(now time.Time) {
	for l.sending && l.interval > 0 && !now.Before(l.due) && len(l.free) > 0 {
		e := l.free[len(l.free)-1]
		l.free = l.free[:len(l.free)-1]
		e.send(l.due)
		l.due = l.due.Add(l.interval)
	}
}

// fail records why the round is invalid.
func (l *load) fail(err error) {
	if l.fault == nil {
		l.fault = err
	}
}

// resume resumes connections whose pause is over.
func (l *load) resume(now time.Time) {
	for len(l.paused) > 0 && !now.Before(l.paused[0].resume) {
		e := l.paused[0]
		l.paused = l.paused[1:]
		e.sendNext(now)
	}
}
