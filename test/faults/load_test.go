package faults

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// allLoads names all loads.
const allLoads = "all"

// load is emitters that send at a common rate in an open loop: latency is
// measured from due times.
type load struct {
	name         string
	emitters     int
	connections  int           // of all emitters together
	pause        atomic.Int64  // nanoseconds between two packets of a connection; 0 is a closed loop
	filler       atomic.Int64  // bytes added to each message
	defaultPause time.Duration // the default pause
}

// retryInterval is the pause of a closed-loop connection after a packet that was
// not accepted.
const retryInterval = 10 * time.Millisecond

// newLoad returns a load in packets per second.
func newLoad(name string, emitters, connections int, rate float64) *load {
	l := &load{name: name, emitters: emitters, connections: connections}
	l.defaultPause = time.Duration(float64(connections) / rate * float64(time.Second))
	l.scale(1)
	return l
}

// scale sets the rate to a multiple of the default.
func (l *load) scale(factor float64) { l.pause.Store(int64(float64(l.defaultPause) / factor)) }

// closedLoop makes connections send as soon as they have a response.
func (l *load) closedLoop() { l.pause.Store(0) }

// begin starts a load.
func (e *emitters) begin(l *load) {
	e.loads[l.name] = l
	started := time.Now()
	for connection := range l.connections {
		e.ended.Go(func() { e.run(l, connection, started) })
	}
}

// run is one connection. Connections alternate between emitters.
func (e *emitters) run(l *load, connection int, started time.Time) {
	due := started.Add(time.Duration(l.pause.Load()) * time.Duration(connection) / time.Duration(l.connections))
	for number := 0; e.until(due); number++ {
		p := l.outgoingPacket(connection, number)
		p.due = due
		o, _ := e.send(p)
		due = l.next(due, o)
	}
}

// until waits for a moment, and returns false when the emitters halt.
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

// next returns the due time of the next packet. Without -judge, missed packets
// are dropped from the schedule, so that a slow machine is not flooded.
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
		return time.Now().Add(retryInterval)
	}
}

// outgoingPacket returns a packet of one to seven messages.
func (l *load) outgoingPacket(connection, number int) outgoingPacket {
	return outgoingPacket{
		load: l.name, emitter: fmt.Sprintf("%s-%d", l.name, connection%l.emitters),
		id:       fmt.Sprintf("%s-%d-%d", l.name, connection, number),
		messages: 1 + number%7, filler: int(l.filler.Load()),
	}
}

// burst is packets that are all due at once. Each emitter has one connection
// and retries until its packet is accepted.
type burst struct {
	Emitters int
	Packets  int // per emitter
	// InFull replaces Packets with -judge.
	InFull int `yaml:"in-full"`
	// Wait is the pause after a refusal; 0 means Retry-After.
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
				p := l.outgoingPacket(emitter, number)
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

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
