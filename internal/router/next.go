package router

import (
	"fmt"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/fairshare"
)

// MaxNext is the maximum number of picks that Next returns.
const MaxNext = 1000

// Next returns which analyzers n further packets of a number of messages would be routed
// to, if nothing else happened: the picks are made on a copy of the table. It returns
// fewer if no analyzer is eligible. It may be called concurrently.
func (r *Router) Next(messages, n int) ([]Explanation, error) {
	if messages < 1 || messages > fairshare.MaxMessages {
		return nil, fmt.Errorf("messages is %d: it must be from 1 to %d", messages, fairshare.MaxMessages)
	}
	if n < 1 || n > MaxNext {
		return nil, fmt.Errorf("n is %d: it must be from 1 to %d", n, MaxNext)
	}
	p, err := r.copyTable()
	if err != nil {
		return nil, err
	}
	picks := make([]Explanation, 0, n)
	for range n {
		one, ok := p.explain(messages, -1)
		if !ok {
			break
		}
		picks = append(picks, one)
		chosen := slices.IndexFunc(p.members, func(m memberRecord) bool { return m.id == one.Chosen })
		p.members[chosen].capacity = max(p.members[chosen].capacity-1, 0)
	}
	return picks, nil
}

// copyTable returns a copy of the table and of what is known about its members.
func (r *Router) copyTable() (*replay, error) {
	var state fairshare.State
	var members []memberRecord
	r.do(func() {
		now := time.Now()
		r.table.Save(&state)
		members = make([]memberRecord, len(r.byIndex))
		for _, m := range r.members {
			one := memberRecord{id: m.ID(), weight: m.weight, ramp: r.table.Weight(m.index) / m.weight, capacity: m.capacity}
			if !r.table.Active(m.index) {
				one.outage, one.until = m.outageMicros(now)
			}
			members[m.index] = one
		}
	})
	return newReplay(state, members)
}

// AnalyzerExplanation is why an analyzer has the share that it has.
type AnalyzerExplanation struct {
	ID string
	// Sentence has the share and its reasons.
	Sentence string
	// Share is the current share of messages: Weight × Ramp, divided by WeightSum, the sum
	// of that over the eligible analyzers; 0 if the analyzer is not eligible.
	Share     float64
	Weight    float64
	Ramp      float64
	WeightSum float64
	// Eligible is the number of eligible analyzers, Analyzers that of all.
	Eligible  int
	Analyzers int
	// Out is why the analyzer is not eligible, empty if it is, and Until when that ends at
	// the latest, if known.
	Out   string
	Until time.Time
}

// ExplainAnalyzer returns why an analyzer has its share. It may be called concurrently.
func (r *Router) ExplainAnalyzer(id string) (AnalyzerExplanation, error) {
	p, err := r.copyTable()
	if err != nil {
		return AnalyzerExplanation{}, err
	}
	at := slices.IndexFunc(p.members, func(m memberRecord) bool { return id != "" && m.id == id })
	if at < 0 {
		return AnalyzerExplanation{}, fmt.Errorf("there is no analyzer with the id %q", id)
	}
	m := p.members[at]
	e := AnalyzerExplanation{
		ID: id, Share: round(p.table.Share(at), 1e6), Weight: m.weight, Ramp: round(m.ramp, 1e3), Eligible: p.table.ActiveCount(), Out: m.outage.String(), Until: timeOf(m.until),
	}
	for i, one := range p.members {
		if one.id != "" {
			e.Analyzers++
		}
		if p.table.Active(i) {
			e.WeightSum += p.table.Weight(i)
		}
	}
	e.WeightSum = round(e.WeightSum, 1e6)
	e.Sentence = e.sentence()
	return e, nil
}

func (e AnalyzerExplanation) sentence() string {
	if e.Out != "" {
		until := ""
		if !e.Until.IsZero() {
			until = " until " + e.Until.Format(time.RFC3339)
		}
		return fmt.Sprintf("%s gets no messages, because it is out (%s%s); its weight is %g, and %d of %d analyzers are eligible, with weights that sum to %g",
			e.ID, e.Out, until, e.Weight, e.Eligible, e.Analyzers, e.WeightSum)
	}
	return fmt.Sprintf("%s gets %.4g %% of messages: its weight %g × ramp %g is %g of %g, the sum over the %d of %d analyzers that are eligible",
		e.ID, 100*e.Share, e.Weight, e.Ramp, round(e.Weight*e.Ramp, 1e6), e.WeightSum, e.Eligible, e.Analyzers)
}
