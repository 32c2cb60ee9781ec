package router

import (
	"cmp"
	"slices"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// account is what the accounting records about one analyzer. The mutex of accounting guards it.
type account struct {
	stats MemberStats
	// born is the lowest epoch in which the analyzer may join. Deliveries of lower
	// epochs belong to an earlier analyzer with the same id.
	born uint32
	// previous is the analyzer that had the id before, if that has not been forgotten.
	previous *member
	// drain is a copy of stats from when the analyzer was last taken out, nil while it
	// is not.
	drain *MemberStats
}

// maxDeparted is the number of analyzers whose counters are kept after they were
// forgotten. Those of the analyzer that departed first are dropped for one more.
const maxDeparted = fairshare.MaxMembers

// setMembers replaces the list of members. leaving are those that are not in it any more.
func (a *accounting) setMembers(members, leaving []*member) {
	var sum float64
	for _, m := range members {
		sum += m.weight
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range leaving {
		m.account.stats.Target, m.account.stats.Effective, m.account.stats.DeviationMessages = 0, 0, 0
	}
	a.leaving = append(a.leaving, leaving...)
	a.members = slices.Clone(members)
	for _, m := range members {
		m.account.stats.ID, m.account.stats.Target = m.ID(), m.weight/sum
	}
	for _, m := range slices.Concat(a.members, a.leaving) {
		switch {
		case m.out == 0:
			m.account.drain = nil
		case m.account.drain == nil:
			began := m.account.stats
			m.account.drain = &began
		}
	}
	a.indexLocked()
}

// indexLocked sets byID to the latest analyzer of each id.
func (a *accounting) indexLocked() {
	a.byID = make(map[string]*member, len(a.members)+len(a.leaving))
	for _, m := range slices.Concat(a.leaving, a.members) {
		m.account.previous = a.byID[m.ID()]
		a.byID[m.ID()] = m
	}
}

// memberLocked returns the statistics of the analyzer that a delivery was bound to.
func (a *accounting) memberLocked(id string, epoch uint32) *MemberStats {
	m := a.byID[id]
	for m != nil && epoch < m.account.born {
		m = m.account.previous
	}
	if m == nil {
		return a.departed[id] // nil if it was dropped
	}
	return &m.account.stats
}

// latestLocked returns the statistics of the latest analyzer with the id, nil if there is
// none. The sum over all analyzers of an id is what is reported.
func (a *accounting) latestLocked(id string) *MemberStats {
	if m := a.byID[id]; m != nil {
		return &m.account.stats
	}
	return a.departed[id]
}

// Forget ends the membership of an analyzer that is leaving and holds no packets. Its
// counters are kept under its id. Forget may be called concurrently.
func (r *Router) Forget(analyzer Analyzer) (dropped []string) {
	a := &r.accounting
	a.mu.Lock()
	defer a.mu.Unlock()
	at := slices.IndexFunc(a.leaving, func(m *member) bool { return m.Analyzer == analyzer })
	if at < 0 {
		return nil
	}
	gone := a.leaving[at]
	a.leaving = slices.Delete(a.leaving, at, at+1)
	id := gone.ID()
	if a.departed == nil {
		a.departed = make(map[string]*MemberStats)
	}
	if a.departed[id] == nil {
		a.departed[id] = &MemberStats{ID: id}
	}
	a.departed[id].add(gone.account.stats)
	a.departures = append(slices.DeleteFunc(a.departures, func(one string) bool { return one == id }), id)
	a.indexLocked()
	for len(a.departures) > maxDeparted {
		first := a.departures[0]
		a.departures = a.departures[1:]
		delete(a.departed, first)
		if a.byID[first] == nil {
			dropped = append(dropped, first)
		}
	}
	return dropped
}

// add adds the counters of another analyzer with the same id.
func (m *MemberStats) add(other MemberStats) {
	m.Routed, m.Moved, m.Rerouted = m.Routed.Plus(other.Routed), m.Moved.Plus(other.Moved), m.Rerouted+other.Rerouted
	m.Delivered, m.Nacked = m.Delivered.Plus(other.Delivered), m.Nacked.Plus(other.Nacked)
	m.DeadLettered, m.Attempted = m.DeadLettered.Plus(other.DeadLettered), m.Attempted+other.Attempted
}

// DrainStats returns the statistics of an analyzer: those of the moment at which the
// routing goroutine took it out, and the present ones. ok is false if the analyzer is
// neither out nor leaving. It may be called concurrently.
func (r *Router) DrainStats(analyzer Analyzer) (began, now MemberStats, ok bool) {
	a := &r.accounting
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, list := range [][]*member{a.members, a.leaving} {
		for _, m := range list {
			if m.Analyzer == analyzer && m.account.drain != nil {
				return *m.account.drain, m.account.stats, true
			}
		}
	}
	return MemberStats{}, MemberStats{}, false
}

// allLocked returns the statistics of the present analyzers in the order of the
// configuration, and those of the ids that are leaving or departed.
func (a *accounting) allLocked() (members, former []MemberStats) {
	var byID map[string]MemberStats
	if len(a.departed)+len(a.leaving) > 0 {
		byID = make(map[string]MemberStats, len(a.departed)+len(a.leaving))
	}
	for id, gone := range a.departed {
		byID[id] = *gone
	}
	for _, m := range a.leaving {
		sum := byID[m.ID()]
		sum.ID = m.ID()
		sum.add(m.account.stats)
		byID[m.ID()] = sum
	}
	members = make([]MemberStats, 0, len(a.members))
	for _, m := range a.members {
		stats := m.account.stats
		if earlier, ok := byID[m.ID()]; ok {
			stats.add(earlier)
			delete(byID, m.ID())
		}
		members = append(members, stats)
	}
	for _, m := range byID {
		former = append(former, m)
	}
	slices.SortFunc(former, func(a, b MemberStats) int { return cmp.Compare(a.ID, b.ID) })
	return members, former
}

// nacked counts packets that an analyzer returned, of which it may have received
// attempted ones.
func (a *accounting) nacked(analyzer string, deliveries []upstream.Delivery, attempted int64) {
	if len(deliveries) == 0 {
		return
	}
	volume := upstream.VolumeOf(deliveries)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Waiting = a.stats.Waiting.Plus(volume)
	if m := a.memberLocked(analyzer, deliveries[0].Epoch); m != nil {
		m.Nacked = m.Nacked.Plus(volume)
		m.Attempted += attempted
	}
}

func (a *accounting) delivered(analyzer string, deliveries []upstream.Delivery, volume packet.Volume) {
	if len(deliveries) == 0 {
		return
	}
	a.settled.Add(volume.Packets)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Delivered = a.stats.Delivered.Plus(volume)
	if m := a.memberLocked(analyzer, deliveries[0].Epoch); m != nil {
		m.Delivered = m.Delivered.Plus(volume)
	}
}

func (a *accounting) deadLettered(analyzer string, deliveries []upstream.Delivery) {
	volume := upstream.VolumeOf(deliveries)
	a.settled.Add(volume.Packets)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.DeadLettered = a.stats.DeadLettered.Plus(volume)
	if m := a.memberLocked(analyzer, deliveries[0].Epoch); m != nil {
		m.DeadLettered = m.DeadLettered.Plus(volume)
	}
}
