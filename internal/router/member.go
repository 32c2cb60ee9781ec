package router

import (
	"fmt"
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
	out        upstream.Outage     // why it gets no packets; 0: it does
	capacity   int                 // in packets
	staged     []upstream.Delivery // picked in this round
	waitBudget time.Duration
	// ejected: its wait budget was used up, and it has not reached the low
	// watermark since.
	ejected bool
	epoch   uint32 // of the last join
	account account
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

// Settings is the configuration of routing.
type Settings struct {
	// Strict keeps to the weights even if an analyzer has no capacity for its
	// share: all packets then wait for it. Otherwise other analyzers take over.
	Strict bool
	// Paused means that no packets are routed. Analyzers deliver what they hold.
	Paused bool
	// Members are the analyzers that packets are routed to. Their ids must differ.
	Members []Member
}

// Member is an analyzer with its configuration.
type Member struct {
	Analyzer Analyzer
	Weight   float64
	// Out is why the analyzer is offered no packets, such as upstream.Drain, or 0. It keeps
	// what it holds.
	Out upstream.Outage
}

func (s Settings) validate() error {
	if len(s.Members) > fairshare.MaxMembers {
		return fmt.Errorf("there are %d analyzers: there may be %d", len(s.Members), fairshare.MaxMembers)
	}
	ids := make(map[string]bool)
	for _, m := range s.Members {
		id := m.Analyzer.ID()
		if ids[id] {
			return fmt.Errorf("two analyzers have the id %q", id)
		}
		ids[id] = true
		if !(m.Weight > 0 && m.Weight <= fairshare.MaxWeight) {
			return fmt.Errorf("the weight of %s is %v: it must be above 0 and at most %v", id, m.Weight, float64(fairshare.MaxWeight))
		}
	}
	return nil
}

// Configure applies the settings as a whole, between two rounds, or none of them if one
// is invalid. An analyzer that was a member before, which is recognised by its value and
// not by its id, keeps its deficit; a new one joins with a deficit of 0 as soon as it has
// capacity. An analyzer that is no longer listed is offered no packets after Configure
// returns, and still settles those that it holds: see Forget. Configure may be called
// concurrently, before Start and while packets are routed.
func (r *Router) Configure(s Settings) error {
	if err := s.validate(); err != nil {
		return err
	}
	var err error
	r.do(func() { err = r.configure(s) })
	return err
}

func (r *Router) configure(s Settings) error {
	r.strict, r.paused = s.Strict, s.Paused
	present := make(map[Analyzer]*member, len(r.members))
	for _, m := range r.members {
		present[m.Analyzer] = m
	}
	members := make([]*member, len(s.Members))
	for i, one := range s.Members {
		members[i] = present[one.Analyzer]
		delete(present, one.Analyzer)
	}
	var leaving []*member
	for _, m := range r.members { // present has those that are not listed any more
		if present[m.Analyzer] != nil {
			r.leave(m)
			leaving = append(leaving, m)
		}
	}
	now := time.Now()
	for i, one := range s.Members {
		if members[i] != nil {
			continue
		}
		m, err := r.join(one)
		if err != nil {
			return err // does not happen: the settings are valid
		}
		members[i] = m
	}
	r.recordMembers(members, now)
	for i, one := range s.Members {
		members[i].weight, members[i].out = one.Weight, one.Out
		r.updateWeight(members[i], now)
	}
	r.members = members
	r.accounting.setMembers(members, leaving)
	r.refresh(now)
	r.accounting.recordRound(members, &r.table)
	return nil
}

func (r *Router) leave(m *member) {
	m.out = upstream.Drain
	r.table.Remove(m.index)
	r.byIndex[m.index] = nil
	delete(r.byID, m.ID())
}

// join returns a new member.
func (r *Router) join(one Member) (m *member, err error) {
	m = &member{Analyzer: one.Analyzer, waitBudget: maxWaitBudget, account: account{born: r.epoch + 1}}
	if m.index, err = r.table.Add(one.Weight); err != nil {
		return nil, err
	}
	if m.index == len(r.byIndex) {
		r.byIndex = append(r.byIndex, nil)
	}
	r.byIndex[m.index] = m
	r.byID[one.Analyzer.ID()] = m
	return m, nil
}
