package distributor

import (
	"fmt"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

// Out is the reason why an analyzer gets no packets, as a word and as a sentence.
type Out struct{ Reason, Detail string }

// The reasons, in the order of the checks.
const (
	OutMaint   = "maint"
	OutDrain   = "drain"
	OutProbing = "probing"
	OutBreaker = "breaker_open"
	OutPause   = "asked_pause"
	OutNoRoom  = "no_room"
)

// outOf returns the reason why an analyzer gets no packets.
func outOf(s AnalyzerStatus, now time.Time) Out {
	from := func(t time.Time) time.Duration { return max(0, t.Sub(now)).Round(time.Millisecond) }
	holds := s.Queued.Plus(s.InFlight).Packets
	switch {
	case s.Spec.State == StateMaint:
		return Out{OutMaint, "it is in maintenance: what it held was rerouted, and it is not probed"}
	case s.Spec.State == StateDrain:
		return Out{OutDrain, fmt.Sprintf("it is being drained and holds %d packets", holds)}
	case s.Probing:
		return Out{OutProbing, "its first probe has not ended"}
	case s.Breaker.State == breaker.Open && !s.Breaker.ForcedUntil.IsZero():
		return Out{OutBreaker, fmt.Sprintf("an operator opened its breaker for another %v", from(s.Breaker.ForcedUntil))}
	case s.Breaker.State == breaker.Open:
		return Out{OutBreaker, fmt.Sprintf("its breaker is open; the next probe is in %v", from(s.Breaker.NextProbe))}
	case !s.PausedUntil.IsZero():
		return Out{OutPause, fmt.Sprintf("it requested a pause, which ends in %v", from(s.PausedUntil))}
	case s.Effective == 0 && 2*holds > int64(s.Limit):
		return Out{OutNoRoom, fmt.Sprintf("it holds %d packets and may hold %d; it gets packets again once half of them are delivered", holds, s.Limit)}
	default:
		return Out{}
	}
}
