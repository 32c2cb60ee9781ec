//go:build linux

package cluster

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// Distributors are upgraded (SIGUSR2), one by one, in the middle of envelopes: nothing is lost or
// refused, and nothing is delivered again.
func TestUpgradesOneByOne(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 3, distributors: 3, environment: patient})
	y.behave(analyzertest.Behaviour{Delay: 50 * time.Millisecond})
	for round := range rounds(5) {
		for _, d := range y.distributors {
			y.emitters.awaitMore(t, 200)
			d.signal(syscall.SIGUSR2)
			await(t, d.name+" is upgraded", func() bool { return d.logged("the upgrade is complete") == round+1 })
		}
	}
	if duplicates := y.finish(); duplicates > 0 {
		t.Errorf("%d packets were delivered again", duplicates)
	}
	if len(y.emitters.refused) > 0 {
		t.Errorf("packets were refused: %v", y.emitters.refused)
	}
}

// logged returns how often the log has a text.
func (d *distributor) logged(text string) int {
	d.t.Helper()
	log, err := os.ReadFile(d.log())
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.Count(string(log), text)
}
