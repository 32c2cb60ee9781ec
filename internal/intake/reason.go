package intake

import (
	"errors"

	"github.com/logstreamer/logstreamer/internal/journal"
)

// Reason is the reason of a refusal. The empty Reason means that the packet is not refused.
type Reason string

// The reasons. The packet may be sent again later, unless the reason is TooLarge.
const (
	Draining          Reason = "draining"
	NoAnalyzer        Reason = "no_analyzer"
	Overloaded        Reason = "overloaded"
	JournalUnwritable Reason = "journal_unwritable"
	RateLimited       Reason = "rate_limited"
	Shed              Reason = "shed"
	Paused            Reason = "paused"
	TooLarge          Reason = "too_large"
)

// Reasons lists the reasons.
func Reasons() []Reason {
	return []Reason{Draining, NoAnalyzer, Overloaded, JournalUnwritable, RateLimited, Shed, Paused, TooLarge}
}

var details = map[Reason]string{
	Draining:          "the distributor is shutting down; send to another one or try again",
	NoAnalyzer:        "no analyzer is healthy, so nothing can be accepted",
	Overloaded:        "the queues are full, so there is no capacity for it now",
	JournalUnwritable: "it could not be stored, so it was not accepted",
	RateLimited:       "this emitter_id sends more messages per second than it may",
	Paused:            "an operator has paused the intake (INTAKE)",
	TooLarge:          "it needs more memory than a request may have (MEMORY_LIMIT_BYTES), or more than the journal takes",
	Shed:              "the capacity that is left is kept for packets of higher levels",
}

// Detail describes the reason in a sentence.
func (r Reason) Detail() string { return details[r] }

// Refusal is the refusal of one packet.
type Refusal struct {
	Reason   Reason
	Detail   string
	PacketID string // without JSON escapes
	// RetryAfter is the wait in seconds before the packet may be sent again; 0 if that does not
	// depend on the packet, see Intake.RetryAfter.
	RetryAfter int
}

// Error implements error.
func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

// reasonOf translates the journal's errors.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, journal.ErrClosed):
		return Draining
	case errors.Is(err, journal.ErrUnwritable):
		return JournalUnwritable
	case errors.Is(err, journal.ErrTooLarge), errors.Is(err, journal.ErrTooMany):
		return TooLarge
	case errors.Is(err, errNoAnalyzer):
		return NoAnalyzer
	case errors.Is(err, errPaused):
		return Paused
	default:
		return Overloaded
	}
}
