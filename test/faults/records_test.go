package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// outcome is the result of a packet for its emitter.
type outcome int

const (
	// unsent: connecting failed; the distributor has not seen the packet.
	unsent outcome = iota
	// accepted: answered with 2xx, or with 504, which says that it is not delivered yet.
	accepted
	// refused: answered with anything else.
	refused
	// unanswered: sent, perhaps in part, without a response. It may arrive.
	unanswered
)

func (o outcome) String() string {
	return [...]string{"unsent", "accepted", "refused", "unanswered"}[o]
}

// record is one request of an emitter.
type record struct {
	load    string
	due     time.Time     // due time
	took    time.Duration // from due until completed
	outcome outcome
	code    string // of a refusal: its status and code
	bare    bool   // a refusal without a code, or without a Retry-After of at least 1
}

// records are requests of emitters.
type records []record

func (r records) where(keep func(record) bool) records {
	var kept records
	for _, one := range r {
		if keep(one) {
			kept = append(kept, one)
		}
	}
	return kept
}

// of returns the records of one load, or of allLoads.
func (r records) of(load string) records {
	return r.where(func(one record) bool { return load == allLoads || one.load == load })
}

// between returns the records completed in [from, to).
func (r records) between(from, to time.Time) records {
	return r.where(func(one record) bool {
		completed := one.due.Add(one.took)
		return !completed.Before(from) && completed.Before(to)
	})
}

func (r records) with(o outcome) records {
	return r.where(func(one record) bool { return one.outcome == o })
}

// p99 returns the 99th percentile of took.
func (r records) p99() time.Duration {
	if len(r) == 0 {
		return 0
	}
	times := make([]time.Duration, len(r))
	for i, one := range r {
		times[i] = one.took
	}
	slices.Sort(times)
	return times[len(times)*99/100]
}

// codes counts refusals by code.
func (r records) codes() map[string]int {
	codes := make(map[string]int)
	for _, one := range r.with(refused) {
		codes[one.code]++
	}
	return codes
}

// refusals formats the refusals by code.
func (r records) refusals() string {
	codes := r.codes()
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		parts = append(parts, fmt.Sprintf("%d × %s", codes[code], code))
	}
	return strings.Join(parts, ", ")
}

// bareRefusals formats the bare refusals.
func (r records) bareRefusals() string {
	return r.where(func(one record) bool { return one.bare }).refusals()
}

// failures describes refused and unanswered packets, or returns "".
func (r records) failures() string {
	noResponse := r.with(unanswered)
	timedOut := noResponse.where(func(one record) bool { return one.took >= requestTimeout })
	refusals, noConnection := r.refusals(), len(r.with(unsent))
	if refusals == "" && len(noResponse)+noConnection == 0 {
		return ""
	}
	return fmt.Sprintf("refused %q, %d unanswered (%d of them in %v), %d without a connection",
		refusals, len(noResponse), len(timedOut), requestTimeout, noConnection)
}

// rounded rounds to milliseconds, short times to tenths.
func rounded(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
