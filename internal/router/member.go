package router

import (
	"fmt"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Analyzer is a destination of packets; see upstream.Upstream.
type Analyzer interface {
	ID() string
	Capacity(now time.Time) (packets int, transient bool)
	BelowLowWatermark() bool
	Outage(now time.Time) (reason upstream.Outage, until time.Time)
	Ramp(now time.Time) float64
	Offer(deliveries []upstream.Delivery)
	Tick()
	ProbeSoon(now time.Time)
}

// member is an analyzer with the state that the routing goroutine keeps for it.
type member struct {
	Analyzer
	index      int                 // of the table
	weight     float64             // configured
	drained    bool                // it gets no packets
	capacity   int                 // in packets
	staged     []upstream.Delivery // picked in this round
	waitBudget time.Duration
	// ejected: its wait budget was used up, and it has not reached the low
	// watermark since.
	ejected bool
	epoch   uint32      // of the last join
	stats   MemberStats // guarded by accounting.mu
}

func (m *member) stage(d *upstream.Delivery) {
	m.capacity--
	d.Epoch, d.Attempted = m.epoch, false
	m.staged = append(m.staged, *d)
}

// command is work for the routing goroutine between two rounds.
type command struct {
	do   func()
	done chan struct{}
}

func (c command) execute() {
	c.do()
	close(c.done)
}

// do calls f between two rounds and returns after it. It may be called concurrently.
func (r *Router) do(f func()) {
	r.mu.Lock()
	if !r.running {
		defer r.mu.Unlock()
		f()
		return
	}
	done := r.done
	r.mu.Unlock()
	c := command{f, make(chan struct{})}
	select {
	case r.commands <- c:
		<-c.done
	case <-done:
		r.do(f)
	}
}

// Add adds an analyzer, whose id must not be in use. It joins with a deficit of 0 as
// soon as it has capacity. Add may be called concurrently, like Remove, SetWeight and
// SetDrained, before Start and while packets are routed.
func (r *Router) Add(a Analyzer, weight float64) (err error) {
	r.do(func() {
		if r.byID[a.ID()] != nil {
			err = fmt.Errorf("there is an analyzer with the id %q already", a.ID())
			return
		}
		m := &member{Analyzer: a, weight: weight, waitBudget: maxWaitBudget}
		if m.index, err = r.table.Add(weight); err != nil {
			return
		}
		if m.index == len(r.byIndex) {
			r.byIndex = append(r.byIndex, nil)
		}
		r.byIndex[m.index] = m
		r.byID[a.ID()] = m
		r.members = append(r.members, m)
		r.recordMembers()
		r.accounting.setMembers(r.members)
	})
	return err
}

// Remove removes an analyzer. After Remove returns it is offered no packets; those that
// it holds it still settles.
func (r *Router) Remove(id string) error {
	return r.change(id, func(m *member) error {
		r.table.Remove(m.index)
		r.byIndex[m.index] = nil
		delete(r.byID, id)
		r.members = slices.DeleteFunc(r.members, func(one *member) bool { return one == m })
		r.recordMembers()
		return nil
	})
}

// SetWeight changes the weight of an analyzer, and no deficit.
func (r *Router) SetWeight(id string, weight float64) error {
	return r.change(id, func(m *member) error {
		if !(weight > 0 && weight <= fairshare.MaxWeight) {
			return fmt.Errorf("the weight of %s is %v: it must be above 0 and at most %v", id, weight, float64(fairshare.MaxWeight))
		}
		m.weight = weight
		r.updateWeight(m, time.Now())
		return nil
	})
}

// SetDrained stops or resumes offering packets to an analyzer. It keeps what it holds.
func (r *Router) SetDrained(id string, drained bool) error {
	return r.change(id, func(m *member) error {
		m.drained = drained
		return nil
	})
}

// change applies a change to the member with an id.
func (r *Router) change(id string, apply func(*member) error) (err error) {
	r.do(func() {
		m := r.byID[id]
		if m == nil {
			err = fmt.Errorf("there is no analyzer with the id %q", id)
			return
		}
		if err = apply(m); err == nil {
			r.accounting.setMembers(r.members)
			r.refresh(time.Now())
		}
	})
	return err
}
