package distributor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// stalled is an input whose clients stall.
type stalled struct{}

// Stop implements stopper.
func (stalled) Stop(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Clients that stall, of whatever inputs, leave time for deliveries.
func TestStalledInputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 16*time.Second)
		defer cancel()
		d := new(Distributor)
		d.inputs.streams = []stopper{stalled{}, stalled{}, stalled{}}
		began := time.Now()
		if err := d.stopStreams(ctx); err != nil || time.Since(began) != 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// lingering is an input whose clients take a second to disconnect.
type lingering struct{}

// Stop implements stopper.
func (lingering) Stop(context.Context) error {
	time.Sleep(time.Second)
	return nil
}

// Inputs stop at the same time: an upgrade does not take a second for each.
func TestInputsStopAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(Distributor)
		d.inputs.servers = []stopper{lingering{}, lingering{}, lingering{}}
		began := time.Now()
		if err := d.stopInputs(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
