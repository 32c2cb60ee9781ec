// Package integrity sends messages with checksums by all protocols at once, among requests that are
// refused, to analyzers of all kinds, some of which fail: every delivered message is unchanged, and
// every accepted message is delivered. With -judge it takes a minute for each journal; with
// -detect-races the distributor has the race detector.
package integrity

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

var inputs = []string{"otlp-grpc", "forward", "syslog-tcp", "syslog-udp", "gelf-tcp", "gelf-udp"}

func TestIntegrity(t *testing.T) {
	for _, journal := range []string{"memory", "disk"} {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			d := harness.StartFor(t, analyzers(t, l, false), inputs,
				"JOURNAL="+journal, "SENDER_TIMEOUT_MS=500",
				`LIMITS=[{"emitter":"limited","rate":50,"burst":50}]`, "MEMORY_LIMIT_BYTES=67108864")
			sendAll(t, d, l, func(context.Context) {})
			defer func() {
				if t.Failed() {
					t.Logf("%d accepted messages have not arrived, such as %s", l.missing(), l.describe())
				}
			}()
			d.Await("all accepted messages arrive", func() bool { return l.missing() == 0 })
			d.Stop() // which fails after a data race
			l.report()
		})
	}
}

// sendAll runs all senders for a while, and disturbs them meanwhile.
func sendAll(t *testing.T, d *harness.Distributor, l *ledger, meanwhile func(context.Context)) {
	t.Helper()
	duration := time.Second
	if harness.Judge() {
		duration = time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { meanwhile(ctx) })
	for name, send := range senders() {
		for n := range 2 {
			name := fmt.Sprintf("%s%d", name, n)
			if strings.HasPrefix(name, "limited") {
				name = "limited"
			}
			s := l.newSource(d, name)
			running.Go(func() {
				for ctx.Err() == nil && !t.Failed() {
					send(s)
				}
			})
		}
	}
	running.Wait()
}
