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

// bufferedHistogramVec holds one bufferedHistogram for each analyzer. Collect includes all
// observations made before it.
type bufferedHistogramVec struct {
	*prometheus.HistogramVec

	mu  sync.Mutex // guards all fields below
	all []*bufferedHistogram
}

// of returns the bufferedHistogram of an analyzer.
func (h *bufferedHistogramVec) of(analyzer string) *bufferedHistogram {
	o := &bufferedHistogram{histogram: h.WithLabelValues(analyzer)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, o)
	return o
}

// Collect implements prometheus.Collector.
func (h *bufferedHistogramVec) Collect(metrics chan<- prometheus.Metric) {
	h.mu.Lock()
	for _, o := range h.all {
		o.flush()
	}
	h.mu.Unlock()
	h.HistogramVec.Collect(metrics)
}
