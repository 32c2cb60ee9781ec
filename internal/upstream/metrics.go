package upstream

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Metrics holds the collectors that all analyzers share.
type Metrics struct {
	registerer  prometheus.Registerer
	packets     *prometheus.CounterVec
	messages    *prometheus.CounterVec
	requests    *prometheus.CounterVec
	failures    *prometheus.CounterVec
	probes      *prometheus.CounterVec
	transitions *prometheus.CounterVec
	duration    *bufferedHistogramVec
	latency     *bufferedHistogramVec
}

// durationBuckets are in seconds, from a fast local analyzer to the longest timeouts.
var durationBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// NewMetrics registers the collectors.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"analyzer"}, labels...))
	}
	histogram := func(name, help string) *bufferedHistogramVec {
		return &bufferedHistogramVec{HistogramVec: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: durationBuckets, NativeHistogramBucketFactor: 1.1,
		}, []string{"analyzer"})}
	}
	m := &Metrics{
		registerer:  registerer,
		packets:     counter("distributor_delivered_packets_total", "Packets delivered to the analyzer."),
		messages:    counter("distributor_delivered_messages_total", "Messages of packets delivered to the analyzer."),
		requests:    counter("distributor_send_requests_total", "Requests with packets sent to the analyzer."),
		failures:    counter("distributor_send_failures_total", "Requests to the analyzer that did not deliver, by reason; local_resources is a lack of resources of this machine.", "reason"),
		probes:      counter("distributor_probes_total", "Health probes of the analyzer, by result; local_resources is a lack of resources of this machine.", "result"),
		transitions: counter("distributor_breaker_transitions_total", "Transitions of the analyzer's breaker, by the new state.", "to"),
		duration:    histogram("distributor_send_duration_seconds", "Duration of one request to the analyzer."),
		latency: histogram("distributor_delivery_latency_seconds",
			"Time from the acceptance to the delivery of the oldest packet of each request."),
	}
	for _, c := range []prometheus.Collector{
		m.packets, m.messages, m.requests, m.failures, m.probes, m.transitions, m.duration, m.latency,
	} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// probeResults maps the results of probes to metric labels.
var probeResults = map[probeResult]string{
	probeSucceeded: "ok", probeFailed: "failed", probeUnreachable: "failed", probeNotSent: reasonResources,
}

// metrics holds the metrics of one analyzer with their labels resolved.
type metrics struct {
	packets, messages, requests prometheus.Counter
	failures                    map[string]prometheus.Counter
	probes                      map[probeResult]prometheus.Counter
	transitions                 map[breaker.State]prometheus.Counter
	duration, latency           *bufferedHistogram // seconds
}

var states = []breaker.State{breaker.Closed, breaker.Open, breaker.HalfOpen}

func (m *Metrics) of(analyzer string) *metrics {
	resolved := &metrics{
		packets:     m.packets.WithLabelValues(analyzer),
		messages:    m.messages.WithLabelValues(analyzer),
		requests:    m.requests.WithLabelValues(analyzer),
		failures:    make(map[string]prometheus.Counter),
		probes:      make(map[probeResult]prometheus.Counter),
		transitions: make(map[breaker.State]prometheus.Counter),
		duration:    m.duration.of(analyzer),
		latency:     m.latency.of(analyzer),
	}
	for _, reason := range failureReasons {
		resolved.failures[reason] = m.failures.WithLabelValues(analyzer, reason)
	}
	for result, name := range probeResults {
		resolved.probes[result] = m.probes.WithLabelValues(analyzer, name)
	}
	for _, state := range states {
		resolved.transitions[state] = m.transitions.WithLabelValues(analyzer, state.String())
	}
	return resolved
}

// watch registers the gauges that are computed from the analyzer at each scrape.
func (m *Metrics) watch(u *Upstream) error {
	labels := prometheus.Labels{"analyzer": u.ID()}
	gauges := []prometheus.Collector{
		gauge("distributor_queue_depth", "Packets bound to the analyzer and not yet delivered.", labels,
			func() float64 { return float64(u.queue.bound.Load()) }),
		gauge("distributor_queue_limit_packets", "Maximum number of packets that may be bound to the analyzer now.", labels,
			func() float64 { return float64(u.limit.now()) }),
		gauge("distributor_in_flight_packets", "Packets in requests that are in flight to the analyzer.", labels,
			func() float64 {
				_, inFlight := u.Volumes()
				return float64(inFlight.Packets)
			}),
		gauge("distributor_analyzer_healthy", "1 while the first probe is complete and the analyzer's breaker is not open, else 0.", labels,
			func() float64 { return boolToFloat(u.Healthy()) }),
	}
	for _, state := range states {
		gauges = append(gauges, gauge("distributor_breaker_state", "1 for the current state of the analyzer's breaker, else 0.",
			prometheus.Labels{"analyzer": u.ID(), "state": state.String()},
			func() float64 { return boolToFloat(u.breaker.State() == state) }))
	}
	for _, g := range gauges {
		if err := m.registerer.Register(g); err != nil {
			return err
		}
	}
	return nil
}

func gauge(name, help string, labels prometheus.Labels, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value)
}

func boolToFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *metrics) sent(a sendResult, took time.Duration) {
	m.requests.Inc()
	m.duration.observe(took.Seconds())
	if a.reason != "" && a.outcome != rejected {
		m.failures[a.reason].Inc()
	}
}

func (m *metrics) delivered(volume packet.Volume) {
	m.packets.Add(float64(volume.Packets))
	m.messages.Add(float64(volume.Messages))
}

func (m *metrics) probed(result probeResult) { m.probes[result].Inc() }
