package router

import (
	"fmt"
	"slices"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// replay is a copy of a table on which recorded operations are applied again.
type replay struct {
	table   *fairshare.Table
	members []memberRecord
}

func newReplay(state fairshare.State, members []memberRecord) (*replay, error) {
	table, err := fairshare.Restore(state)
	if err != nil {
		return nil, err
	}
	return &replay{table, slices.Clone(members)}, nil
}

// apply applies an operation. It returns an error if the table picks another member than
// was recorded.
func (p *replay) apply(e event) error {
	m := &p.members[e.member]
	switch e.op {
	case opPick, opFull:
		m.capacity = max(e.capacity-1, 0)
		return p.pick(e)
	case opRefund:
		p.table.Refund(e.member, e.messages)
	case opJoin:
		m.outage, m.until = 0, 0
		p.table.Join(e.member)
	case opOut:
		m.outage, m.until = e.outage, e.until
		p.table.Leave(e.member)
	case opWeight:
		m.weight, m.ramp = e.weight, e.ramp
		p.table.SetWeight(e.member, e.weight)
	case opCapacity:
		m.capacity = e.capacity
	}
	return nil
}

// pick picks for a packet. If the table picks another member than was recorded it is that
// one that is charged.
func (p *replay) pick(e event) error {
	picked, ok := p.table.Pick(e.messages, e.avoid)
	if ok && e.op == opFull {
		p.table.Refund(picked, e.messages)
	}
	if !ok || picked != e.member {
		return p.differs(picked, ok, e)
	}
	return nil
}

func (p *replay) differs(picked int, ok bool, e event) error {
	name := "none"
	if ok {
		name = p.members[picked].id
	}
	return fmt.Errorf("the table picks %s for %d messages, and %s is recorded", name, e.messages, p.members[e.member].id)
}

// explain picks a member for a packet and returns why.
func (p *replay) explain(messages, avoid int) (Explanation, bool) {
	e := Explanation{Messages: messages}
	chosen, runnerUp := -1, -1
	values := make([]float64, len(p.members))
	for i, m := range p.members {
		if m.id == "" {
			continue
		}
		c := Candidate{ID: m.id}
		if !p.table.Active(i) {
			c.Out, c.Until = m.outage.String(), timeOf(m.until)
			e.Candidates = append(e.Candidates, c)
			continue
		}
		values[i] = p.table.Deficit(i) + p.table.Share(i)*float64(messages)
		c.CandidateState = &CandidateState{Deficit: round(values[i], 1e3), Share: round(p.table.Share(i), 1e6), Ramp: round(m.ramp, 1e3), Room: m.capacity}
		if i == avoid && p.table.ActiveCount() > 1 {
			c.Out = upstream.Avoided.String()
		} else if chosen < 0 || values[i] > values[chosen] {
			chosen, runnerUp = i, chosen
		} else if runnerUp < 0 || values[i] > values[runnerUp] {
			runnerUp = i
		}
		e.Candidates = append(e.Candidates, c)
	}
	picked, ok := p.table.Pick(messages, avoid)
	if !ok {
		return e, false
	}
	e.Chosen, e.Bound = p.members[picked].id, round(p.table.MaxDeviation(), 1e3)
	if runnerUp >= 0 {
		e.RunnerUp, e.Margin = p.members[runnerUp].id, round(values[picked]-values[runnerUp], 1e3)
	}
	return e, true
}
