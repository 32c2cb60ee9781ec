package upstream

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bufferedHistogram buffers observations and passes them to a histogram in batches: with
// many analyzers a histogram is rarely in the CPU cache, and one observation then costs as
// much as a dozen at once. It is safe for concurrent use.
type bufferedHistogram struct {
	histogram prometheus.Observer
	recent    *recentLatency // nil: not needed

	mu     sync.Mutex // guards all fields below
	buffer [64]float64
	count  int
}

func (o *bufferedHistogram) observe(value float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buffer[o.count] = value
	if o.count++; o.count == len(o.buffer) {
		o.flushLocked()
	}
}

func (o *bufferedHistogram) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flushLocked()
}

// quantile returns a recent quantile; see recentLatency.
func (o *bufferedHistogram) quantile(q float64) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.recent.turn(time.Now())
	o.flushLocked()
	return o.recent.quantile(q)
}

func (o *bufferedHistogram) flushLocked() {
	if o.recent != nil {
		o.recent.turn(time.Now())
	}
	for _, value := range o.buffer[:o.count] {
		o.histogram.Observe(value)
		if o.recent != nil {
			o.recent.add(value)
		}
	}
	o.count = 0
}
