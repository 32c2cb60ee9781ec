package discovery

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/worker"
)

// IDForm and GroupForm say what ids and names of groups may be. They are segments of the admin
// API's paths, where clients resolve "." and "..".
const (
	IDForm    = "1 to 64 letters, digits, '.', '_' and '-', no '.' first"
	GroupForm = "1 to 64 lower-case letters, digits, '.', '_' and '-', no '.' first"
)

var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$`)

// IsID reports whether a text may be the id of an analyzer.
func IsID(text string) bool { return idPattern.MatchString(text) }

// IsGroupName reports whether a text may be the name of a group that analyzers join.
func IsGroupName(text string) bool { return IsID(text) && text == strings.ToLower(text) }

// Lease is an analyzer that registered itself.
type Lease struct {
	// ID is that of the analyzer; Group is the group that it is a member of, or empty.
	ID, Group string
	// URL is where the analyzer is.
	URL string
	// Weight is the weight in the request, and GroupWeight the effective one: that of the group
	// or, without one, of the analyzer.
	Weight, GroupWeight float64
	// Owner is the principal that registered the analyzer.
	Owner string
	// Expires is when the lease lapses unless it is renewed.
	Expires time.Time
	// Lapsed reports that it was not renewed in time. The analyzer is still a member.
	Lapsed bool
}

// same reports whether two leases differ at most in time and in what Leases set.
func (l Lease) same(other Lease) bool {
	l.Expires, l.Lapsed, l.GroupWeight = other.Expires, other.Lapsed, other.GroupWeight
	return l == other
}

// LeaseChange is a change of a lease that is no renewal.
type LeaseChange string

// The changes.
const (
	Granted   LeaseChange = "granted"
	Changed   LeaseChange = "changed"   // weight, group or URL are others
	Lapsed    LeaseChange = "lapsed"    // it was not renewed: from now on the analyzer's health decides
	Recovered LeaseChange = "recovered" // it was renewed after it had lapsed
	Lost      LeaseChange = "lost"      // it had lapsed, and the analyzer is no longer a member
	Ended     LeaseChange = "ended"     // a client requested it
)

// Leases are the leases of a distributor. They may be used concurrently.
type Leases struct {
	mu      sync.Mutex // guards the fields below
	leases  map[string]Lease
	weights map[string]float64 // of groups, from the last lease that was granted or changed
	changed worker.Signal      // a value: Run must check the leases
}

// NewLeases returns leases without any.
func NewLeases() *Leases {
	return &Leases{leases: make(map[string]Lease), weights: make(map[string]float64), changed: worker.NewSignal()}
}

// Put grants or renews a lease, and returns what that changes: empty for a renewal in time.
func (l *Leases) Put(lease Lease) (change LeaseChange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.leases[lease.ID]
	switch {
	case !known:
		change = Granted
	case !lease.same(before):
		change = Changed
	case before.Lapsed:
		change = Recovered
	}
	l.leases[lease.ID] = lease
	if change == Granted || change == Changed {
		l.weights[lease.Group] = lease.Weight
		l.forgetGroupLocked(before.Group)
	}
	if change != "" {
		l.changed.Notify()
	}
	return change
}

// Renew renews a lease that has not lapsed, and reports whether there is one that differs in
// nothing else.
func (l *Leases) Renew(lease Lease) (renewed Lease, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.leases[lease.ID]
	if !known || before.Lapsed || !lease.same(before) {
		return Lease{}, false
	}
	l.leases[lease.ID] = lease
	return l.withGroupWeightLocked(lease), true
}

// Remove ends a lease, if there is one.
func (l *Leases) Remove(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeLocked(l.leases[id])
}

func (l *Leases) removeLocked(lease Lease) {
	delete(l.leases, lease.ID)
	l.forgetGroupLocked(lease.Group)
}

// forgetGroupLocked forgets a group that has no member.
func (l *Leases) forgetGroupLocked(group string) {
	for _, one := range l.leases {
		if one.Group == group {
			return
		}
	}
	delete(l.weights, group)
}

// Restore grants a lease again, with the weight that its group had.
func (l *Leases) Restore(lease Lease) {
	l.Put(lease)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.weights[lease.Group] = lease.GroupWeight
}

// Get returns the lease of an analyzer.
func (l *Leases) Get(id string) (lease Lease, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease, known = l.leases[id]
	return l.withGroupWeightLocked(lease), known
}

// All returns the leases in the order of their ids.
func (l *Leases) All() []Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.SortedFunc(maps.Values(l.leases), func(a, b Lease) int { return cmp.Compare(a.ID, b.ID) })
	for i, one := range all {
		all[i] = l.withGroupWeightLocked(one)
	}
	return all
}

// withGroupWeightLocked returns a lease with the weight that counts.
func (l *Leases) withGroupWeightLocked(lease Lease) Lease {
	lease.GroupWeight = lease.Weight
	if lease.Group != "" {
		lease.GroupWeight = l.weights[lease.Group]
	}
	return lease
}

// expire ends what has expired, as Run describes it, and returns the time until the next check; 0
// without a lease.
func (l *Leases) expire(now time.Time, check time.Duration, keep func(Lease) bool, onChange func(LeaseChange, Lease)) (next time.Duration) {
	for _, one := range l.All() {
		if now.Before(one.Expires) {
			next = earlier(next, one.Expires.Sub(now))
			continue
		}
		next = earlier(next, check)
		lapsed, lost := l.overdue(one.ID, now, keep(one))
		if lapsed {
			onChange(Lapsed, one)
		}
		if lost {
			onChange(Lost, one)
		}
	}
	return next
}

// overdue marks a lease as lapsed, and ends it unless the analyzer is kept, if it was not
// renewed meanwhile. It reports which of both is new.
func (l *Leases) overdue(id string, now time.Time, kept bool) (lapsed, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease, known := l.leases[id]
	if !known || now.Before(lease.Expires) {
		return false, false
	}
	lapsed, lease.Lapsed = !lease.Lapsed, true
	l.leases[id] = lease
	if !kept {
		l.removeLocked(lease)
	}
	return lapsed, !kept
}

// earlier returns the shorter of two times, of which 0 is none.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// Run notices leases that lapse, and ends those whose analyzers keep says do not stay, one
// after the other, until ctx ends. It calls onChange with each change, and checks leases that have
// lapsed at the interval check.
func (l *Leases) Run(ctx context.Context, check time.Duration, keep func(Lease) bool, onChange func(LeaseChange, Lease)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.changed:
		case <-timer.C:
		}
		timer.Stop()
		if next := l.expire(time.Now(), check, keep, onChange); next > 0 {
			timer.Reset(next)
		}
	}
}

// Members returns the members of a group of leases.
func (l *Leases) Members(group string) (members []Member) {
	all := slices.DeleteFunc(l.All(), func(one Lease) bool { return one.Group != group })
	for _, one := range all {
		members = append(members, Member{ID: one.ID, Base: one.URL, Part: 1 / float64(len(all))})
	}
	return members
}
