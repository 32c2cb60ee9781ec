package router

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// While routing waits for capacity at one member, no member receives packets. The
// wait preserves the shares when a member is full for a moment; wait budgets limit
// it for a member that is always slow and for many slow members in sequence.
const (
	// maxWaitBudget is the maximum wait for one member, and for all together.
	maxWaitBudget = 100 * time.Millisecond
	// waitBudgetRefill per tick is divided among the members below
	// maxWaitBudget, which limits waits to a twentieth of the time.
	waitBudgetRefill = upstream.TickInterval / 20
	// globalWaitBudgetRefill is larger, so that members that are always slow
	// leave a part of the global wait budget to others.
	globalWaitBudgetRefill = 2 * waitBudgetRefill
)

// await starts a wait for capacity at a member and reports whether strict routing
// or the wait budgets allow it.
func (r *Router) await(m *member, now time.Time) bool {
	if !r.strict && min(m.waitBudget, r.waitBudget) <= 0 {
		return false
	}
	r.blocking, r.blockedSince = m, now
	return true
}

// chargeWait deducts the wait from the blocking member's wait budget and from the
// global one.
func (r *Router) chargeWait(now time.Time) {
	wait := now.Sub(r.blockedSince)
	r.blocking.waitBudget -= wait
	r.waitBudget -= wait
	r.blocking = nil
}

// refillWaitBudgets is called every upstream.TickInterval.
func (r *Router) refillWaitBudgets() {
	below := 0 // members below maxWaitBudget
	for _, m := range r.members {
		if m.waitBudget < maxWaitBudget {
			below++
		}
	}
	refill := waitBudgetRefill / time.Duration(max(1, below))
	for _, m := range r.members {
		m.waitBudget = min(maxWaitBudget, m.waitBudget+refill)
	}
	r.waitBudget = min(maxWaitBudget, r.waitBudget+globalWaitBudgetRefill)
}
