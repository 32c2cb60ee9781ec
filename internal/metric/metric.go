// Package metric makes and registers metrics, and collects the errors of that. A Registry is used by
// one goroutine, at the start; the metrics that it returns may be used concurrently.
package metric

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Registry registers metrics. It must not be used concurrently.
type Registry struct {
	registerer prometheus.Registerer
	errs       []error
}

// On returns a Registry that registers at registerer or, if that is nil, nowhere.
func On(registerer prometheus.Registerer) *Registry { return &Registry{registerer: registerer} }

// Err returns the errors of all registrations.
func (r *Registry) Err() error { return errors.Join(r.errs...) }

// Register registers a collector.
func (r *Registry) Register(c prometheus.Collector) {
	if r.registerer != nil {
		r.errs = append(r.errs, r.registerer.Register(c))
	}
}

// Counter registers a counter.
func (r *Registry) Counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	r.Register(c)
	return c
}

// Counters registers counters with labels.
func (r *Registry) Counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.Register(c)
	return c
}

// Histogram registers a histogram of seconds, a native one for servers that take these.
func (r *Registry) Histogram(name, help string, buckets []float64) prometheus.Histogram {
	const growth = 1.1 // of native buckets
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets, NativeHistogramBucketFactor: growth})
	r.Register(h)
	return h
}

// CounterFunc registers a counter that read returns, concurrently; labels may be nil.
func (r *Registry) CounterFunc(name, help string, labels prometheus.Labels, read func() float64) {
	r.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, read))
}

// GaugeFunc registers a gauge that read returns, concurrently; labels may be nil.
func (r *Registry) GaugeFunc(name, help string, labels prometheus.Labels, read func() float64) {
	r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, read))
}

// Bool returns 1 for true, else 0.
func Bool(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
