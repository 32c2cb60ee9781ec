package native

import (
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/sink/sinktest"
)

func TestSink(t *testing.T) {
	for name, health := range map[string]func() reply{"JSON": func() reply { return ok }, "NDJSON": ndjsonHealth} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Backend {
				analyzer := newFakeAnalyzer(always(ok))
				analyzer.health = health
				f := startProbed(t, analyzer.dial)
				return sinktest.Backend{
					Sink: f.Sink,
					Set: func(b sinktest.Behaviour) {
						analyzer.set(func(s *fakeAnalyzer) {
							s.ingest = always(map[sinktest.Behaviour]reply{sinktest.Accept: ok, sinktest.Reject: status(422, "", ""), sinktest.Hang: {hang: true}}[b])
							s.refuseConnections = b == sinktest.Vanish
						})
					},
					Received: func() (bodies []string) {
						for _, r := range analyzer.received() {
							bodies = append(bodies, strings.Fields(r.body)...)
						}
						return bodies
					},
				}
			})
		})
	}
}
