package distributor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// The results of a drain.
const (
	DrainRunning = "draining" // the analyzer holds packets
	Drained      = "drained"  // the analyzer settled all of its packets
	DrainCut     = "cut"      // the remaining packets were rerouted, at the deadline or because of maintenance
)

// DrainProof accounts for the packets that an analyzer held when the routing goroutine took it out.
// Held and RoutedSince are the sum of Delivered, Rerouted, DeadLettered, Remaining and Unaccounted.
// Remaining is the counter of the analyzer's own queue; the others are counters of the router.
// Unaccounted is 0 unless there is a defect.
type DrainProof struct {
	Result string `json:"result"` // DrainRunning, Drained or DrainCut
	Held   Term   `json:"held"`
	// The numbers below are packets.
	Delivered    int64 `json:"delivered"`
	Rerouted     int64 `json:"rerouted"`
	DeadLettered int64 `json:"dead_lettered"`
	Remaining    int64 `json:"remaining"`
	// RoutedSince counts packets that were bound to the analyzer after it was taken out.
	RoutedSince int64 `json:"routed_since"`
	// PossibleDuplicates counts rerouted packets that the analyzer may have received.
	PossibleDuplicates int64 `json:"possible_duplicates"`
	Unaccounted        int64 `json:"unaccounted"`
}

// Term is a volume in the ledger or in the proof of a drain, without its bytes.
type Term struct {
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
}

func termOf(v packet.Volume) Term { return Term{v.Packets, v.Messages} }

// Drain returns when an analyzer in state drain or maint holds no packet: every request
// has ended then. At the deadline the remaining packets are rerouted. If ctx ends before,
// Drain returns its error and the proof so far. It may be called concurrently.
//
// The id may be that of a group, whose members are drained together.
func (d *Distributor) Drain(ctx context.Context, id string, deadline time.Time) (DrainProof, error) {
	drained := d.ofGroup(id)
	if len(drained) == 0 {
		return DrainProof{}, noAnalyzer(id)
	}
	var sum DrainProof
	var errs []error
	for _, a := range drained {
		proof, err := d.awaitEmpty(ctx, a.Upstream, func() time.Time { return deadline })
		errs = append(errs, err)
		sum = sum.plus(proof)
	}
	return sum, errors.Join(errs...)
}

// plus returns the sum of two proofs.
func (p DrainProof) plus(other DrainProof) DrainProof {
	if p.Result == "" || other.Result == DrainRunning || p.Result != DrainRunning && other.Result == DrainCut {
		p.Result = other.Result
	}
	p.Held.Packets += other.Held.Packets
	p.Held.Messages += other.Held.Messages
	p.Delivered += other.Delivered
	p.Rerouted += other.Rerouted
	p.DeadLettered += other.DeadLettered
	p.Remaining += other.Remaining
	p.RoutedSince += other.RoutedSince
	p.PossibleDuplicates += other.PossibleDuplicates
	p.Unaccounted += other.Unaccounted
	return p
}

// awaitEmpty waits until an ineligible or leaving analyzer holds no packet.
func (d *Distributor) awaitEmpty(ctx context.Context, a *upstream.Upstream, deadline func() time.Time) (DrainProof, error) {
	const (
		interval = 10 * time.Millisecond
		// maxUnaccounted is the number of intervals in which packets may be between the analyzer
		// and the router.
		maxUnaccounted = 100
	)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for unaccounted := 0; ; {
		proof, err := d.proveDrain(a)
		if err != nil {
			return proof, err
		}
		if proof.Remaining == 0 {
			if unaccounted++; proof.Unaccounted == 0 || unaccounted > maxUnaccounted {
				return proof.ended(), nil
			}
		} else if !time.Now().Before(deadline()) {
			a.Evict()
		}
		select {
		case <-ctx.Done():
			return proof, ctx.Err()
		case <-ticker.C:
		}
	}
}

// ended returns the proof of a drain after which no packet remains.
func (p DrainProof) ended() DrainProof {
	p.Result = Drained
	if p.Rerouted > 0 {
		p.Result = DrainCut
	}
	return p
}

// proveDrain returns the proof so far.
func (d *Distributor) proveDrain(a *upstream.Upstream) (DrainProof, error) {
	queued, inFlight := a.Volumes()
	began, now, ok := d.router.DrainStats(a)
	if !ok {
		return DrainProof{}, fmt.Errorf("analyzer %s is not drained: its state is ready", a.ID())
	}
	proof := DrainProof{
		Result:       DrainRunning,
		Held:         termOf(began.Bound()),
		Delivered:    now.Delivered.Minus(began.Delivered).Packets,
		Rerouted:     now.Nacked.Minus(began.Nacked).Packets,
		DeadLettered: now.DeadLettered.Minus(began.DeadLettered).Packets,
		Remaining:    queued.Plus(inFlight).Packets,
		RoutedSince:  now.Routed.Minus(began.Routed).Packets,

		PossibleDuplicates: now.Attempted - began.Attempted,
	}
	proof.Unaccounted = proof.Held.Packets + proof.RoutedSince - proof.Delivered - proof.Rerouted - proof.DeadLettered - proof.Remaining
	return proof, nil
}

// leavingAnalyzer is an analyzer that is no longer part of the configuration and delivers the packets that
// it holds.
type leavingAnalyzer struct {
	running
	began    time.Time // to leave
	deadline atomic.Pointer[time.Time]
}

func newLeavingAnalyzer(a running, timeout time.Duration) *leavingAnalyzer {
	l := &leavingAnalyzer{running: a, began: time.Now()}
	deadline := l.began.Add(timeout)
	l.deadline.Store(&deadline)
	return l
}

// SetDrainDeadline changes the deadline of the analyzer with an id, or of the members of a group, that
// began to leave at a time or later: an earlier one with the same id may still leave. It may be called
// concurrently.
func (d *Distributor) SetDrainDeadline(id string, since, deadline time.Time) error {
	found := false
	for _, l := range d.analyzers.Load().leaving {
		if (l.ID() == id || l.group == id) && !l.began.Before(since) {
			l.deadline.Store(&deadline)
			found = true
		}
	}
	if !found {
		return fmt.Errorf("no analyzer with the id %q has begun to leave", id)
	}
	return nil
}

// OnRemoved sets the function that is called once for each analyzer that has left, with its URL and
// the proof of its drain, and once for each group, without a URL. It must be called before Start. The function is called from many goroutines and may
// call the Distributor, except for Stop.
func (d *Distributor) OnRemoved(f func(id, url string, proof DrainProof)) { d.onRemoved = f }

// removeDrained waits until a leaving analyzer holds no packet, stops it and removes it. When the distributor stops,
// its packets are rerouted.
func (d *Distributor) removeDrained(l *leavingAnalyzer) {
	_, _ = d.awaitEmpty(d.leaveCtx, l.Upstream, func() time.Time { return *l.deadline.Load() })
	l.Stop()
	proof, _ := d.proveDrain(l.Upstream)
	d.configMu.Lock()
	now := d.analyzers.Load()
	d.analyzers.Store(&analyzerSet{now.present, slices.DeleteFunc(slices.Clone(now.leaving), func(one *leavingAnalyzer) bool { return one == l })})
	d.configMu.Unlock()
	d.upstreamMetrics.Remove(l.Upstream)
	d.forgetMetrics(d.router.Forget(l.Upstream)...)
	proof = proof.ended()
	d.logger.Info("analyzer has left", "analyzer", l.ID(), "url", l.target.URL, "held_packets", proof.Held.Packets,
		"delivered", proof.Delivered, "rerouted", proof.Rerouted, "dead_lettered", proof.DeadLettered, "unaccounted", proof.Unaccounted)
	if d.onRemoved == nil {
		return
	}
	d.onRemoved(l.ID(), l.target.URL, proof)
	if whole, ended := d.groupLeft(l.group, proof); ended {
		d.onRemoved(l.group, "", whole)
	}
}

// leavingGroup is a group with members that leave.
type leavingGroup struct {
	leaving int        // members whose proofs are not yet added
	proof   DrainProof // sum over the other members
}

// groupLeaves records that a member of a group begins to leave. The caller holds configMu.
func (d *Distributor) groupLeaves(group string) {
	if group == "" {
		return
	}
	if d.leavingGroups == nil {
		d.leavingGroups = make(map[string]leavingGroup)
	}
	g := d.leavingGroups[group]
	g.leaving++
	d.leavingGroups[group] = g
}

// groupLeft adds the proof of a member that has left to that of its group, and returns the proof of
// the group when the group is neither configured nor registered and has no member left.
func (d *Distributor) groupLeft(group string, proof DrainProof) (whole DrainProof, ended bool) {
	if group == "" {
		return DrainProof{}, false
	}
	d.configMu.Lock()
	defer d.configMu.Unlock()
	g := d.leavingGroups[group]
	g.leaving--
	g.proof = g.proof.plus(proof)
	stays := slices.ContainsFunc(d.WithRegistered(d.Config().Targets), func(t Target) bool { return t.ID == group })
	if stays {
		g.proof = DrainProof{}
	}
	if d.leavingGroups[group] = g; g.leaving == 0 {
		delete(d.leavingGroups, group)
	}
	return g.proof, g.leaving == 0 && !stays
}
