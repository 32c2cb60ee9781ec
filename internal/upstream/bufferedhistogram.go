package upstream

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// bufferedHistogram buffers observations and passes them to a histogram in batches: with
// many analyzers a histogram is rarely in the CPU cache, and one observation then costs as
// much as a dozen at once. It is safe for concurrent use.
type bufferedHistogram struct {
	histogram prometheus.Observer

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

func (o *bufferedHistogram) flushLocked() {
	for _, value := range o.buffer[:o.count] {
		o.histogram.Observe(value)
	}
	o.count = 0
}
