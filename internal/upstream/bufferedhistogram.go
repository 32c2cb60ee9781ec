package upstream

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// observations gathers what a histogram is to observe and hands it on many at
// a time: with many analyzers a histogram is seldom in the processor's cache,
// and one observation alone costs as much as a dozen together. It may be used
// concurrently.
type bufferedHistogram struct {
	histogram prometheus.Observer

	mu     sync.Mutex // guards all below
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

// histograms is one histogram for each analyzer. Whoever collects them sees all
// that was observed until then.
type bufferedHistogramVec struct {
	*prometheus.HistogramVec

	mu  sync.Mutex // guards all below
	all []*bufferedHistogram
}

// of returns what gathers an analyzer's observations.
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
