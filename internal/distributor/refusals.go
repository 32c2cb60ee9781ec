package distributor

import (
	"errors"
	"fmt"
	"time"

	"github.com/logstreamer/logstreamer/internal/ingest"
	"github.com/logstreamer/logstreamer/internal/journal"
)

// refusals are those for lack of room, or because the journal cannot be written.
// Emitters do as they are told and come again in bursts. Between two bursts
// nothing is refused, but it is not over.
type refusals struct {
	lastRefusal time.Time // when one was given, about
	retriesDue  time.Time // when all who were refused may have come again
	unwritable  bool      // the last were given because the journal could not be written
	failure     error     // why it cannot be written, or nil
	active      bool
}

const (
	// calm is what emitters add to the wait that they are told, at most.
	cooldown = 5 * time.Second
	// roomy is how full the journal may be when it is over. An emitter that waits
	// leaves it half full, about, and may need long to fill it again.
	lowWatermark = 0.25
	// longestQuiet is how long it lasts after the last refusal, at most.
	maxQuiet = ingest.LongestRetryAfter + cooldown
)

// look takes note of what was refused since the last look.
func (r *refusals) sample(d *Distributor, now time.Time) {
	room, disk := d.handler.WaitsGiven()
	if r.failure = d.journal.CheckCapacity(0); !errors.Is(r.failure, journal.ErrUnwritable) {
		r.failure = nil
	}
	failing := r.failure != nil || disk > 0
	if !failing && room == 0 {
		r.active = r.active && !r.hasEnded(now, d.journal.Utilization())
		return
	}
	r.lastRefusal, r.unwritable, r.active = now, failing, true
	if back := now.Add(max(room, disk)); back.After(r.retriesDue) {
		r.retriesDue = back
	}
}

func (r *refusals) hasEnded(now time.Time, fullness float64) bool {
	if now.Sub(r.retriesDue) < cooldown {
		return false
	}
	return r.unwritable || fullness <= lowWatermark || now.Sub(r.lastRefusal) >= maxQuiet
}

// reason tells people what is lacking, or was.
func (r *refusals) reason(now time.Time, fullness float64) string {
	quiet := now.Sub(r.lastRefusal).Truncate(time.Second)
	switch {
	case r.failure != nil:
		return "packets are refused: " + r.failure.Error()
	case r.unwritable:
		return fmt.Sprintf("packets were refused %v ago, when the journal could not be written: they are to be sent again", quiet)
	case quiet < cooldown:
		return fmt.Sprintf("packets are refused for lack of room: %.0f %% of the journal's is in use", 100*fullness)
	default:
		return fmt.Sprintf("packets were refused for lack of room %v ago, and are to be sent again: %.0f %% of the journal's is in use", quiet, 100*fullness)
	}
}
