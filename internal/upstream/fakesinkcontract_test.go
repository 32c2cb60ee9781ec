package upstream

import (
	"testing"

	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/sinktest"
)

// The fake behaves as real sinks do.
func TestFakeSink(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) sinktest.Backend {
		s := newFakeSink(t, always(ok))
		return sinktest.Backend{
			Sink: s,
			Set: func(b sinktest.Behaviour) {
				s.set(func(s *fakeSink) {
					s.ingest = always(map[sinktest.Behaviour]reply{sinktest.Accept: ok, sinktest.Reject: rejecting(sink.Other), sinktest.Hang: hanging}[b])
					s.gone = b == sinktest.Vanish
				})
			},
			Received: func() (bodies []string) {
				for _, r := range s.received() {
					bodies = append(bodies, r.bodies...)
				}
				return bodies
			},
		}
	})
}
