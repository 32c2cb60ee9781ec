package distributor

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// ringOf starts distributors, each of which has an analyzer of its own and the next one as analyzers.
func ringOf(t *testing.T, n int) (ring []*system, analyzers []*analyzertest.Analyzer) {
	t.Helper()
	listeners := make([]net.Listener, n)
	for i := range listeners {
		var err error
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	ring = make([]*system, n)
	var starting sync.WaitGroup
	for i := range listeners {
		own := analyzertest.New(t)
		analyzers = append(analyzers, own)
		config := quick(t, Target{ID: "own", URL: own.URL(), Weight: 1}, Target{ID: "next", URL: fmt.Sprint("http://", listeners[(i+1)%n].Addr()), Weight: 1})
		config.Analyzer.ProbeTimeout = 50 * time.Millisecond // the next one may not serve yet
		starting.Go(func() { ring[i] = startOn(t, Sockets{Ingest: listeners[i]}, config) })
	}
	starting.Wait()
	return ring, analyzers
}

// Of distributors that are each other's analyzers, or of one that is its own, at least one refuses the
// next one, so that no packet goes round.
func TestLoopsAreRefused(t *testing.T) {
	for _, n := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			ring, analyzers := ringOf(t, n)
			until(t, "a distributor refuses the next one", func() bool {
				return slices.ContainsFunc(ring, func(s *system) bool {
					next, _ := s.find("next")
					status := next.Status(time.Now())
					return !status.Healthy && (strings.Contains(status.Outage, "this distributor itself") || strings.Contains(status.Outage, "sends packets back"))
				})
			})
			ring[0].send(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
			until(t, "each packet is delivered to an analyzer", func() bool {
				taken := 0
				for _, a := range analyzers {
					taken += takenBy(a)
				}
				return taken == 10
			})
		})
	}
}
