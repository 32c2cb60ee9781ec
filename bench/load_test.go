//go:build linux

package main

import (
	"slices"
	"testing"
	"time"
)

// Latency of late requests is measured from their due times.
func TestLateRequestsKeepTheirDueTimes(t *testing.T) {
	l, deliveries := newTestLoop(t), &ledger{}
	places, err := newAnalyzers(l, deliveries, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	defer places.close()
	text := newPacketText(shaped(1, 1))
	deliveries.open(text)
	sender, err := newLoad(l, deliveries, places.ports[:1], 4, nil, func() *request { return newRequest(shaped(1, 1), text) })
	if err != nil {
		t.Fatal(err)
	}
	defer sender.close()
	start := time.Now()
	sender.sending, sender.interval, sender.due = true, 10*time.Millisecond, start
	sender.sendDue(start.Add(25 * time.Millisecond))
	var late []time.Duration
	for _, e := range sender.connections {
		if !e.due.IsZero() {
			late = append(late, e.due.Sub(start))
		}
	}
	slices.Sort(late)
	if want := []time.Duration{0, 10 * time.Millisecond, 20 * time.Millisecond}; !slices.Equal(late, want) {
		t.Errorf("after 25 ms requests were due at %v, want %v", late, want)
	}
}
