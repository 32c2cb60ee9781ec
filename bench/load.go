//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// load sends requests over kept connections. In a closed loop each connection
// sends as soon as it has its answer; with a rate, requests are sent when they
// are due and measured from then, however late they are.
type load struct {
	loop        *loop
	ledger      *ledger
	connections []*emission
	free        []*emission

	sending  bool
	interval time.Duration // between requests; 0 is a closed loop
	due      time.Time
	busy     int
	paused   []*emission // in the order of their resumption

	refused int64 // packets that were refused for lack of room
	fault   error // the first that makes the round worthless
	latency *hdrhistogram.Histogram
}

// newLoad connects.
func newLoad(l *loop, ledger *ledger, port, connections int, build func() *request) (*load, error) {
	load := &load{loop: l, ledger: ledger, latency: hdrhistogram.New(1, int64(time.Minute), 3)}
	for range connections {
		e := &emission{load: load, request: build()}
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

// send sends for the time given and waits for the last answer. rate is in
// requests a second; 0 is a closed loop.
func (l *load) send(duration time.Duration, rate float64) error {
	l.refused, l.fault = 0, nil
	l.latency.Reset()
	l.sending = true
	end := time.Now().Add(duration)
	turn := l.loop.run
	if l.interval = 0; rate > 0 {
		l.interval, l.due = time.Duration(float64(time.Second)/rate), time.Now()
		turn = l.loop.spin
	} else {
		l.startAll()
	}
	err := turn(2*duration, func(now time.Time) bool {
		l.resume(now)
		l.sendDue(now)
		return !now.Before(end) || l.fault != nil
	})
	l.sending = false
	const patience = 20 * time.Second
	last := l.loop.run(patience, func(now time.Time) bool {
		l.resume(now)
		return l.busy == 0 && len(l.paused) == 0 || l.fault != nil
	})
	if errors.Is(last, errLate) {
		last = fmt.Errorf("%d requests were not answered within %v", l.busy, patience)
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

// sendDue sends what is due, as far as connections are free; the rest waits and
// is measured from when it was due.
func (l *load) sendDue(now time.Time) {
	for l.sending && l.interval > 0 && !now.Before(l.due) && len(l.free) > 0 {
		e := l.free[len(l.free)-1]
		l.free = l.free[:len(l.free)-1]
		e.send(l.due)
		l.due = l.due.Add(l.interval)
	}
}

// fail notes why the round is worthless.
func (l *load) fail(err error) {
	if l.fault == nil {
		l.fault = err
	}
}

// resume lets the connections go on whose pause is over.
func (l *load) resume(now time.Time) {
	for len(l.paused) > 0 && !now.Before(l.paused[0].resume) {
		e := l.paused[0]
		l.paused = l.paused[1:]
		e.goOn(now)
	}
}
