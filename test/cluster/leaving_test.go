//go:build linux

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/emitter"
	"github.com/logstreamer/logstreamer/internal/rendezvous"
)

// sharded is distributors each of which has its own packets, an analyzer that records the
// delivering distributor, and emitters that choose their distributor themselves.
type sharded struct {
	*system
	nodes    []rendezvous.Node
	emitters []*emitter.Emitter
	stop     context.CancelFunc
	ended    sync.WaitGroup
}

const (
	shardedEmitters = 60
	// limitedEmitters have a limit of limitedBurst packets, which does not refill during the test.
	limitedEmitters = 40
	limitedBurst    = 3
)

func limitedID(n int) string { return fmt.Sprintf("limited-%d", n) }

func newSharded(t *testing.T, distributors int) *sharded {
	t.Helper()
	s := &sharded{system: &system{t: t, recorders: []*recorder{newRecorder(t, 1, distributors)}}}
	var limits, targets []string
	for n := range limitedEmitters {
		limits = append(limits, fmt.Sprintf(`{"emitter":%q,"rate":0.001,"burst":%d}`, limitedID(n), limitedBurst))
	}
	for i := range distributors {
		d := newDistributor(t, i+1, append([]string{
			"ANALYZERS=http://127.0.0.1:" + s.recorders[0].port(i) + "=1", "JOURNAL=memory", "DEDUPE_WINDOW_SEC=3600",
			"LIMITS=[" + strings.Join(limits, ",") + "]",
		}, patient...))
		d.start()
		s.distributors = append(s.distributors, d)
		s.nodes = append(s.nodes, rendezvous.Node{Name: fmt.Sprintf("127.0.0.1:%d", d.port), Weight: 1})
		targets = append(targets, d.url("/ingest"))
	}
	s.startEmitters(strings.Join(targets, ","))
	return s
}

func (s *sharded) startEmitters(targets string) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	s.stop = stop
	s.t.Cleanup(s.halt)
	for i := range shardedEmitters {
		config := emitter.DefaultConfig()
		config.Target, config.EmitterID, config.Rate, config.PacketSize, config.Concurrency = targets, fmt.Sprintf("emitter-%d", i), 5, "1", 1
		config.RequestTimeout, config.StopTimeout = time.Minute, time.Minute
		// The reasons why emitters have moved are in the output of a test that fails.
		logger := slog.New(slog.NewTextHandler(s.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})).With("emitter_id", config.EmitterID)
		one, err := emitter.New(config, emitter.Dependencies{Logger: logger})
		if err != nil {
			s.t.Fatal(err)
		}
		s.emitters = append(s.emitters, one)
		s.ended.Go(func() { _, _ = one.Run(ctx) }) // Snapshot has the report
	}
}

// halt stops the emitters, which complete their current packets.
func (s *sharded) halt() {
	s.stop()
	s.ended.Wait()
}

// order returns an emitter's order of the distributors without one of them, -1 for none.
func (s *sharded) order(emitterID string, without int) []int {
	return slices.DeleteFunc(rendezvous.Order(s.nodes, emitterID), func(i int) bool { return i == without })
}

// deliverers returns for each emitter the number of its packets that each distributor has delivered
// since a time.
func (s *sharded) deliverers(since time.Time) []map[int]int {
	ofRun := make(map[string]int)
	all := make([]map[int]int, len(s.emitters))
	for i, e := range s.emitters {
		ofRun[e.Snapshot().RunID], all[i] = i, make(map[int]int)
	}
	for id, deliveries := range s.deliveries() {
		run, _, _ := strings.Cut(id, "-")
		i, known := ofRun[run]
		if !known {
			continue // the packet is one of post
		}
		for _, one := range deliveries {
			if one.at.After(since) {
				all[i][one.distributor]++
			}
		}
	}
	return all
}

// awaitHomes waits until every emitter's packets are delivered by its distributor. The distributor
// that is away does not count, -1 for none.
func (s *sharded) awaitHomes(since time.Time, away int) {
	s.t.Helper()
	const packets = 5
	await(s.t, "every emitter's packets are delivered by its distributor", func() bool {
		for i, by := range s.deliverers(since) {
			if by[s.order(fmt.Sprintf("emitter-%d", i), away)[0]] < packets {
				return false
			}
		}
		return true
	})
}

// checkHomes fails the test unless all packets of emitters since a time were delivered by the
// allowed distributors.
func (s *sharded) checkHomes(since time.Time, allowed func(emitterID string) []int) {
	s.t.Helper()
	for i, by := range s.deliverers(since) {
		id := fmt.Sprintf("emitter-%d", i)
		for d, packets := range by {
			if !slices.Contains(allowed(id), d) {
				s.t.Errorf("distributor %d delivered %d packets of %s, whose order is %v", d, packets, id, s.order(id, -1))
			}
		}
	}
}

// post sends a packet with one message to a distributor.
func (s *sharded) post(distributor int, emitterID, packetID string) (status int, duplicate bool) {
	s.t.Helper()
	body := fmt.Sprintf(`{"emitter_id":%q,"packet_id":%q,"messages":[{"timestamp":1640995200000,"level":"INFO","message":"m"}]}`, emitterID, packetID)
	response, err := client.Post(s.distributors[distributor].url("/ingest"), "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var decoded struct{ Duplicate bool }
	if err := json.NewDecoder(response.Body).Decode(&decoded); err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, decoded.Duplicate
}

// useLimits sends, for every limited emitter, one packet that it sends in each call, and others
// until one is refused, to the emitter's distributor. The distributor that is away does not count.
// It returns the emitters whose first packet was a duplicate, and the number of accepted others.
func (s *sharded) useLimits(round string, away int) (known []bool, accepted []int) {
	s.t.Helper()
	for n := range limitedEmitters {
		id := limitedID(n)
		home := s.order(id, away)[0]
		_, duplicate := s.post(home, "window-"+id, "once")
		known = append(known, duplicate)
		more := 0
		for status := http.StatusAccepted; status == http.StatusAccepted; more++ {
			if status, _ = s.post(home, id, fmt.Sprint(round, "-", more)); status != http.StatusAccepted && status != http.StatusTooManyRequests {
				s.t.Fatalf("%s: %d", id, status)
			}
		}
		accepted = append(accepted, more-1)
	}
	return known, accepted
}

// One of five distributors leaves, and returns. Only its emitters move, each to the next
// distributor in its own order, and later back. The limits and deduplication windows of the others
// are unchanged: they still recognise and refuse the same packets.
func TestOneOfFiveLeaves(t *testing.T) {
	t.Parallel()
	s := newSharded(t, 5)
	const leaving = 2
	s.awaitHomes(time.Time{}, -1)
	s.checkHomes(time.Time{}, func(id string) []int { return s.order(id, -1)[:1] })
	for n, known := range first(s.useLimits("before", -1)) {
		if known {
			t.Errorf("the packet of %s is known before it was sent", limitedID(n))
		}
	}

	began := time.Now()
	s.distributors[leaving].stop()
	left := time.Now()
	s.awaitHomes(left, leaving)
	known, accepted := s.useLimits("after", leaving)
	moved := 0
	for n := range limitedEmitters {
		id := limitedID(n)
		moves := s.order(id, -1)[0] == leaving
		want := 0 // its limit is used up
		if moves {
			moved++
			want = limitedBurst
		}
		if accepted[n] != want {
			t.Errorf("%s moves: %v; then %d packets are accepted before one is refused, not %d", id, moves, accepted[n], want)
		}
	}
	recognised := 0
	for n, one := range known {
		if one {
			recognised++
		}
		if moves := s.order(limitedID(n), -1)[0] == leaving; one && moves {
			t.Errorf("the next distributor of %s has its window", limitedID(n))
		}
	}
	t.Logf("of %d emitters with a used limit %d had the distributor that left; %d are still refused, and %d packets recognised", limitedEmitters, moved, limitedEmitters-moved, recognised)
	if recognised != limitedEmitters-moved {
		t.Errorf("%d packets are recognised, of %d emitters that did not move", recognised, limitedEmitters-moved)
	}

	s.distributors[leaving].start()
	s.awaitHomes(time.Now(), -1)
	s.halt()
	s.checkMoves(began, leaving)
	s.checkAllDelivered()
}

func first[T, U any](t T, _ U) T { return t }

// checkMoves counts the emitters that another than their first distributor has served since a time:
// exactly the emitters of the one that left, each served by the next in its order.
func (s *sharded) checkMoves(since time.Time, left int) {
	s.t.Helper()
	had, moved := 0, 0
	for i, by := range s.deliverers(since) {
		order := s.order(fmt.Sprintf("emitter-%d", i), -1)
		if order[0] == left {
			had++
		}
		if by[order[1]] > 0 {
			moved++
		}
	}
	s.t.Logf("distributor %d had %d of %d emitters: %d have moved", left+1, had, len(s.emitters), moved)
	if had != moved || had == 0 {
		s.t.Errorf("%d emitters moved, and the distributor that left had %d", moved, had)
	}
	s.checkHomes(since, func(id string) []int {
		order := s.order(id, -1)
		if order[0] == left {
			return order[:2]
		}
		return order[:1]
	})
}

// checkAllDelivered fails the test unless every packet of the emitters was accepted, and delivered
// once.
func (s *sharded) checkAllDelivered() {
	s.t.Helper()
	var failures []error
	delivered := int64(0)
	for i, by := range s.deliverers(time.Time{}) {
		report, sum := s.emitters[i].Snapshot(), 0
		for _, packets := range by {
			sum += packets
		}
		failures = append(failures, report.Unaccepted())
		delivered += int64(sum)
		if int64(sum) != report.Packets.Accepted {
			failures = append(failures, fmt.Errorf("emitter-%d: %d packets accepted, %d delivered", i, report.Packets.Accepted, sum))
		}
	}
	if err := errors.Join(failures...); err != nil {
		s.t.Error(err)
	}
	s.t.Logf("%d packets, none refused for good, lost or delivered twice", delivered)
}
