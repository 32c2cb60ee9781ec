package distributor

import (
	"errors"
	"fmt"
	"time"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal"
)

// refusals are those for lack of room, or because the journal cannot be written.
// Emitters do as they are told and come again in bursts. Between two bursts
// nothing is refused, but it is not over.
type refusals struct {
	last    time.Time // when one was given, about
	back    time.Time // when all who were refused may have come again
	disk    bool      // the last were given because the journal could not be written
	failure error     // why it cannot be written, or nil
	lasting bool
}

const (
	// calm is what emitters add to the wait that they are told, at most.
	calm = 5 * time.Second
	// roomy is how full the journal may be when it is over. An emitter that waits
	// leaves it half full, about, and may need long to fill it again.
	roomy = 0.25
	// longestQuiet is how long it lasts after the last refusal, at most.
	longestQuiet = intake.MaxRetryAfter + calm
)

// look takes note of what was refused since the last look.
func (r *refusals) look(d *Distributor, now time.Time) {
	room, disk := d.intake.WaitsGiven()
	if r.failure = d.journal.CheckCapacity(0); !errors.Is(r.failure, journal.ErrUnwritable) {
		r.failure = nil
	}
	failing := r.failure != nil || disk > 0
	if !failing && room == 0 {
		r.lasting = r.lasting && !r.over(now, d.journal.Utilization())
		return
	}
	r.last, r.disk, r.lasting = now, failing, true
	if back := now.Add(max(room, disk)); back.After(r.back) {
		r.back = back
	}
}

func (r *refusals) over(now time.Time, fullness float64) bool {
	if now.Sub(r.back) < calm {
		return false
	}
	return r.disk || fullness <= roomy || now.Sub(r.last) >= longestQuiet
}

// reason tells people what is lacking, or was.
func (r *refusals) reason(now time.Time, fullness float64) string {
	quiet := now.Sub(r.last).Truncate(time.Second)
	switch {
	case r.failure != nil:
		return "packets are refused: " + r.failure.Error()
	case r.disk:
		return fmt.Sprintf("packets were refused %v ago, when the journal could not be written: they are to be sent again", quiet)
	case quiet < calm:
		return fmt.Sprintf("packets are refused for lack of room: %.0f %% of the journal's is in use", 100*fullness)
	default:
		return fmt.Sprintf("packets were refused for lack of room %v ago, and are to be sent again: %.0f %% of the journal's is in use", quiet, 100*fullness)
	}
}
