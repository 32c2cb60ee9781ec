package upstream

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// observations gathers what a histogram is to observe and hands it on many at
// a time: with many analyzers a histogram is seldom in the processor's cache,
// and one observation alone costs as much as a dozen together. It may be used
// concurrently.
type observations struct {
	histogram prometheus.Observer

	mu       sync.Mutex // guards all below
	gathered [64]float64
	number   int
}

func (o *observations) observe(value float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gathered[o.number] = value
	if o.number++; o.number == len(o.gathered) {
		o.handOnLocked()
	}
}

func (o *observations) handOn() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.handOnLocked()
}

func (o *observations) handOnLocked() {
	for _, value := range o.gathered[:o.number] {
		o.histogram.Observe(value)
	}
	o.number = 0
}

// histograms is one histogram for each analyzer. Whoever collects them sees all
// that was observed until then.
type histograms struct {
	*prometheus.HistogramVec

	mu  sync.Mutex // guards all below
	all []*observations
}

// of returns what gathers an analyzer's observations.
func (h *histograms) of(analyzer string) *observations {
	o := &observations{histogram: h.WithLabelValues(analyzer)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, o)
	return o
}

// Collect implements prometheus.Collector.
func (h *histograms) Collect(metrics chan<- prometheus.Metric) {
	h.mu.Lock()
	for _, o := range h.all {
		o.handOn()
	}
	h.mu.Unlock()
	h.HistogramVec.Collect(metrics)
}
