package distributor

import (
	"errors"
	"fmt"
	"time"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal"
)

// refusals tracks refusals for lack of capacity or because of an unwritable journal. Emitters that
// honour Retry-After retry in bursts, so that an overload stays active between two bursts although
// nothing is refused.
type refusals struct {
	lastRefusal time.Time // time of the last sample with a refusal
	retriesDue  time.Time // end of the longest Retry-After
	unwritable  bool      // the journal was unwritable at the last refusal
	failure     error     // why the journal is unwritable, or nil
	active      bool
}

const (
	// cooldown is the maximum jitter that emitters add to Retry-After.
	cooldown = 5 * time.Second
	// lowWatermark is the utilization of the journal below which an overload ends. While emitters
	// wait, about half of the journal drains, and the journal may take long to become full again.
	lowWatermark = 0.25
	// maxQuiet is the maximum time from the last refusal to the end of an overload.
	maxQuiet = intake.MaxRetryAfter + cooldown
)

// sample updates the state with the refusals since the last sample.
func (r *refusals) sample(d *Distributor, now time.Time) {
	capacity, disk := d.intake.MaxRetryAfters()
	if r.failure = d.journal.CheckCapacity(0); !errors.Is(r.failure, journal.ErrUnwritable) {
		r.failure = nil
	}
	failing := r.failure != nil || disk > 0
	if !failing && capacity == 0 {
		r.active = r.active && !r.hasEnded(now, d.journal.Utilization())
		return
	}
	r.lastRefusal, r.unwritable, r.active = now, failing, true
	if due := now.Add(max(capacity, disk)); due.After(r.retriesDue) {
		r.retriesDue = due
	}
}

func (r *refusals) hasEnded(now time.Time, utilization float64) bool {
	if now.Sub(r.retriesDue) < cooldown {
		return false
	}
	return r.unwritable || utilization <= lowWatermark || now.Sub(r.lastRefusal) >= maxQuiet
}

// inUse names the limit that the journal is nearest to.
func inUse(j journal.Journal) string {
	return fmt.Sprintf("%.0f %% of %s is in use", 100*j.Utilization(), j.Limit())
}

// reason returns the reason of the refusals for operators.
func (r *refusals) reason(now time.Time, j journal.Journal) string {
	quiet := now.Sub(r.lastRefusal).Truncate(time.Second)
	switch {
	case r.failure != nil:
		return "packets are refused: " + r.failure.Error()
	case r.unwritable:
		return fmt.Sprintf("packets were refused %v ago, when the journal was unwritable: emitters are to send them again", quiet)
	case quiet < cooldown:
		return "packets are refused for lack of capacity: " + inUse(j)
	default:
		return fmt.Sprintf("packets were refused for lack of capacity %v ago, and emitters are to send them again: %s", quiet, inUse(j))
	}
}
