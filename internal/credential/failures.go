package credential

import (
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/ratelimit"
)

// failuresPerMinute are allowed for one address.
const failuresPerMinute = 5

// Failures limits failed attempts by address, for a bounded number of addresses. It is consulted
// after the look-up of a credential has failed, so that it never refuses a valid one. It may be
// used concurrently.
type Failures struct{ limiter *ratelimit.Limiter }

// NewFailures returns a Failures that has seen none.
func NewFailures() *Failures {
	return &Failures{ratelimit.New(ratelimit.Config{Rate: failuresPerMinute / 60.0, Burst: failuresPerMinute})}
}

// Add counts a failed attempt. If there were too many it does not count, and wait is how
// long it takes until one does again.
func (f *Failures) Add(client netip.Addr, now time.Time) (wait time.Duration, ok bool) {
	address := client.As16()
	return f.limiter.Take(address[:], nil, 1, now)
}
