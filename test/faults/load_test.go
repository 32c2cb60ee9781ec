package faults

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// everyone stands for all loads.
const everyone = "everyone"

// load is emitters that send at a common rate, whatever the answers are: what a
// request took counts from when it was due.
type load struct {
	name        string
	emitters    int
	connections int           // of all emitters together
	pause       atomic.Int64  // nanoseconds between two packets of a connection; 0: send at once
	filler      atomic.Int64  // bytes that each message has on top
	usual       time.Duration // the pause, unless told otherwise
}

// rest is how long a connection that never pauses waits after a packet that was
// not accepted.
const rest = 10 * time.Millisecond

// newLoad returns a load of so many packets a second.
func newLoad(name string, emitters, connections int, rate float64) *load {
	l := &load{name: name, emitters: emitters, connections: connections}
	l.usual = time.Duration(float64(connections) / rate * float64(time.Second))
	l.times(1)
	return l
}

// times changes the rate to a multiple of the usual.
func (l *load) times(factor float64) { l.pause.Store(int64(float64(l.usual) / factor)) }

// hurry makes connections send the next packet as soon as one is answered.
func (l *load) hurry() { l.pause.Store(0) }

// begin starts a load.
func (e *emitters) begin(l *load) {
	e.loads[l.name] = l
	started := time.Now()
	for connection := range l.connections {
		e.ended.Go(func() { e.run(l, connection, started) })
	}
}

// run is one connection. Connections take turns.
func (e *emitters) run(l *load, connection int, started time.Time) {
	due := started.Add(time.Duration(l.pause.Load()) * time.Duration(connection) / time.Duration(l.connections))
	for number := 0; e.until(due); number++ {
		p := l.parcel(connection, number)
		p.due = due
		o, _ := e.send(p)
		due = l.next(due, o)
	}
}

// until waits for a moment, and reports false when the emitters halt.
func (e *emitters) until(moment time.Time) bool {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-e.ctx.Done():
		return false
	case <-timer.C:
		return e.ctx.Err() == nil
	}
}

// next returns when the packet after one is due. Where nobody judges times, what
// a connection could not send in time is not made up for, so that a machine that
// is too slow is not flooded.
func (l *load) next(due time.Time, o outcome) time.Time {
	pause := time.Duration(l.pause.Load())
	switch {
	case pause > 0 && *judge:
		return due.Add(pause)
	case pause > 0:
		return latest(due.Add(pause), time.Now())
	case o == accepted:
		return time.Now()
	default:
		return time.Now().Add(rest)
	}
}

// parcel is a packet of one to seven messages.
func (l *load) parcel(connection, number int) parcel {
	return parcel{
		load: l.name, emitter: fmt.Sprintf("%s-%d", l.name, connection%l.emitters),
		id:       fmt.Sprintf("%s-%d-%d", l.name, connection, number),
		messages: 1 + number%7, filler: int(l.filler.Load()),
	}
}

// burst is packets that are all due at once. Each emitter has one connection
// and sends a packet again until it is accepted.
type burst struct {
	Emitters int
	Packets  int // each emitter's
	// InFull takes the place of Packets with -judge.
	InFull int `yaml:"in-full"`
	// Wait is how long emitters wait after a refusal; 0: as long as it says.
	Wait time.Duration
}

// burst sends a burst and returns when all of it is accepted.
func (e *emitters) burst(name string, b burst) {
	l := newLoad(strings.ReplaceAll(name, " ", "-"), b.Emitters, b.Emitters, 1)
	packets := b.Packets
	if *judge {
		packets = max(packets, b.InFull)
	}
	started := time.Now()
	var sending sync.WaitGroup
	for emitter := range b.Emitters {
		sending.Go(func() {
			for number := range packets {
				p := l.parcel(emitter, number)
				p.due = started
				for {
					o, wait := e.send(p)
					if o != refused {
						break
					}
					if b.Wait > 0 {
						wait = b.Wait
					}
					p.due = time.Now().Add(wait)
					if !e.until(p.due) {
						return
					}
				}
			}
		})
	}
	sending.Wait()
}
