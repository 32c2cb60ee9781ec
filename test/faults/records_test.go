package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// outcome is what an emitter knows about a packet.
type outcome int

const (
	// unsent: there was no connection. The distributor never saw it.
	unsent outcome = iota
	// accepted: answered with 2xx.
	accepted
	// refused: answered with anything else.
	refused
	// unanswered: sent, perhaps in part, and never answered. It may arrive.
	unanswered
)

func (o outcome) String() string {
	return [...]string{"unsent", "accepted", "refused", "unanswered"}[o]
}

// record is one request as an emitter knows it.
type record struct {
	load    string
	due     time.Time     // when it should have been sent
	took    time.Duration // from then until it was over
	outcome outcome
	code    string // of a refusal: its status and code
}

// records are some of an emitter's requests.
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

// of returns those of one load; everyone's if none is named.
func (r records) of(load string) records {
	return r.where(func(one record) bool { return load == everyone || one.load == load })
}

// between returns those that were over from one moment to before another.
func (r records) between(from, to time.Time) records {
	return r.where(func(one record) bool {
		over := one.due.Add(one.took)
		return !over.Before(from) && over.Before(to)
	})
}

func (r records) with(o outcome) records {
	return r.where(func(one record) bool { return one.outcome == o })
}

// p99 returns the time that 99 of 100 took at most, from when they were due.
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

// codes counts refusals, by code.
func (r records) codes() map[string]int {
	codes := make(map[string]int)
	for _, one := range r.with(refused) {
		codes[one.code]++
	}
	return codes
}

// refusals tells which refusals there were, by code, for people.
func (r records) refusals() string {
	codes := r.codes()
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		parts = append(parts, fmt.Sprintf("%d × %s", codes[code], code))
	}
	return strings.Join(parts, ", ")
}

// troubles tells what went wrong, for people, or nothing.
func (r records) troubles() string {
	mute := r.with(unanswered)
	late := mute.where(func(one record) bool { return one.took >= requestTimeout })
	refusals, parted := r.refusals(), len(r.with(unsent))
	if refusals == "" && len(mute)+parted == 0 {
		return ""
	}
	return fmt.Sprintf("refused %q, %d unanswered (%d of them in %v), %d without a connection",
		refusals, len(mute), len(late), requestTimeout, parted)
}

// rounded is a time for people: whole milliseconds, or tenths of a short one.
func rounded(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
