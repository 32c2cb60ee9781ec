package upstream

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/metric"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// Metrics collects the metrics of all present analyzers. It may be used concurrently.
type Metrics struct {
	packets, messages, requests, failures, dropped, probes, transitions *prometheus.CounterVec
	duration, latency                                                   *prometheus.HistogramVec
	queueDepth, queueLimit, inFlight, healthy, state                    *prometheus.Desc

	mu      sync.Mutex // guards present
	present []*Upstream
}

// durationBuckets are in seconds, from a fast local analyzer to the longest timeouts.
var durationBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// NewMetrics registers the metrics.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"analyzer"}, labels...))
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: durationBuckets, NativeHistogramBucketFactor: 1.1,
		}, []string{"analyzer"})
	}
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"analyzer"}, labels...), nil)
	}
	m := &Metrics{
		packets:     counter("distributor_delivered_packets_total", "Packets delivered to the analyzer."),
		messages:    counter("distributor_delivered_messages_total", "Messages of packets delivered to the analyzer."),
		requests:    counter("distributor_send_requests_total", "Requests with packets sent to the analyzer."),
		failures:    counter("distributor_send_failures_total", "Requests to the analyzer that did not deliver, by reason; local_resources is a lack of resources of this machine.", "reason"),
		dropped:     counter("distributor_dropped_messages_total", "Messages of delivered packets that the analyzer reports as dropped, without their ids."),
		probes:      counter("distributor_probes_total", "Health probes of the analyzer, by result; local_resources is a lack of resources of this machine.", "result"),
		transitions: counter("distributor_breaker_transitions_total", "Transitions of the analyzer's breaker, by the new state.", "to"),
		duration:    histogram("distributor_send_duration_seconds", "Duration of one request to the analyzer."),
		latency: histogram("distributor_delivery_latency_seconds",
			"Time from the acceptance to the delivery of the oldest packet of each request."),
		queueDepth: gauge("distributor_queue_depth", "Packets bound to the analyzer and not yet delivered."),
		queueLimit: gauge("distributor_queue_limit_packets", "Maximum number of packets that may be bound to the analyzer now."),
		inFlight:   gauge("distributor_in_flight_packets", "Packets in requests that are in flight to the analyzer."),
		healthy:    gauge("distributor_analyzer_healthy", "1 while the first probe is complete and the analyzer's breaker is not open, else 0."),
		state:      gauge("distributor_breaker_state", "1 for the current state of the analyzer's breaker, else 0.", "state"),
	}
	return m, registerer.Register(m)
}

func (m *Metrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{m.packets, m.messages, m.requests, m.failures, m.dropped, m.probes, m.transitions, m.duration, m.latency}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descs chan<- *prometheus.Desc) {
	for _, v := range m.vectors() {
		v.Describe(descs)
	}
	for _, d := range []*prometheus.Desc{m.queueDepth, m.queueLimit, m.inFlight, m.healthy, m.state} {
		descs <- d
	}
}

// Collect implements prometheus.Collector. It includes all observations made before it.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	latest := make(map[string]*Upstream) // of each id
	bound, inFlight := make(map[string]int64), make(map[string]int64)
	for _, u := range m.present {
		u.metrics.duration.flush()
		u.metrics.latency.flush()
		_, held := u.Volumes()
		latest[u.ID()] = u
		bound[u.ID()] += u.queue.bound.Load()
		inFlight[u.ID()] += held.Packets
	}
	for id, u := range latest {
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{id}, labels...)...)
		}
		gauge(m.queueDepth, float64(bound[id]))
		gauge(m.queueLimit, float64(u.limit.now()))
		gauge(m.inFlight, float64(inFlight[id]))
		gauge(m.healthy, metric.Bool(u.Healthy()))
		for _, state := range states {
			gauge(m.state, metric.Bool(u.breaker.State() == state), state.String())
		}
	}
	for _, v := range m.vectors() {
		v.Collect(metrics)
	}
}

// Remove removes the gauges of an analyzer that was stopped. Its counters stay; see Drop.
func (m *Metrics) Remove(u *Upstream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u.metrics.duration.flush()
	u.metrics.latency.flush()
	m.present = slices.DeleteFunc(m.present, func(one *Upstream) bool { return one == u })
}

// Drop removes the counters of an id.
func (m *Metrics) Drop(id string) {
	for _, v := range m.vectors() {
		v.(interface{ DeletePartialMatch(prometheus.Labels) int }).DeletePartialMatch(prometheus.Labels{"analyzer": id})
	}
}

// metrics holds the metrics of one analyzer with their labels resolved.
type metrics struct {
	packets, messages, requests prometheus.Counter
	dropped                     prometheus.Counter
	failures                    map[string]prometheus.Counter
	probes                      map[string]prometheus.Counter
	transitions                 map[breaker.State]prometheus.Counter
	duration, latency           *bufferedHistogram // seconds
}

// The results of probes, besides sink.LocalResources.
const (
	probeOK     = "ok"
	probeFailed = "failed"
)

var states = []breaker.State{breaker.Closed, breaker.Open, breaker.HalfOpen}

// add resolves the metrics of an analyzer.
func (m *Metrics) add(u *Upstream) *metrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.present = append(m.present, u)
	analyzer := u.ID()

	resolved := &metrics{
		packets:     m.packets.WithLabelValues(analyzer),
		messages:    m.messages.WithLabelValues(analyzer),
		requests:    m.requests.WithLabelValues(analyzer),
		dropped:     m.dropped.WithLabelValues(analyzer),
		failures:    make(map[string]prometheus.Counter),
		probes:      make(map[string]prometheus.Counter),
		transitions: make(map[breaker.State]prometheus.Counter),
		duration:    &bufferedHistogram{histogram: m.duration.WithLabelValues(analyzer)},
		latency:     &bufferedHistogram{histogram: m.latency.WithLabelValues(analyzer), recent: new(recentLatency)},
	}
	for _, reason := range sink.Failures() {
		resolved.failures[reason] = m.failures.WithLabelValues(analyzer, reason)
	}
	for _, result := range []string{probeOK, probeFailed, sink.LocalResources} {
		resolved.probes[result] = m.probes.WithLabelValues(analyzer, result)
	}
	for _, state := range states {
		resolved.transitions[state] = m.transitions.WithLabelValues(analyzer, state.String())
	}
	return resolved
}

func (m *metrics) sent(r sink.Result, took time.Duration) {
	m.requests.Inc()
	m.duration.observe(took.Seconds())
	if r.Reason != "" && r.Outcome != sink.Rejected {
		m.failures[r.Reason].Inc()
	}
	if r.Dropped > 0 {
		m.dropped.Add(float64(r.Dropped))
	}
}

func (m *metrics) delivered(volume packet.Volume) {
	m.packets.Add(float64(volume.Packets))
	m.messages.Add(float64(volume.Messages))
}

func (m *metrics) probed(r sink.Result) {
	result := probeFailed
	switch {
	case r.Outcome == sink.Delivered:
		result = probeOK
	case r.Reason == sink.LocalResources:
		result = r.Reason
	}
	m.probes[result].Inc()
}
