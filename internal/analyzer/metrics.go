package analyzer

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/logstreamer/logstreamer/internal/dedupe"
)

// metrics are the metrics that are not read from counters.
type metrics struct {
	processing     prometheus.Observer
	single, ndjson prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, t *counters, window *dedupe.Window) *metrics {
	processing := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "analyzer_processing_seconds",
		Help:    "Processing time of a packet in seconds, processing delay included.",
		Buckets: prometheus.ExponentialBuckets(1e-6, 4, 12), // to 4.2 s
	})
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "analyzer_requests_total",
		Help: "Requests by their kind: a single packet, or several as NDJSON.",
	}, []string{"kind"})
	registerer.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		processing, requests, counterCollector{t},
		counterOf("analyzer_packets_total", "Packets processed; duplicates are not among them.", t.packets.Load),
		counterOf("analyzer_messages_total", "Messages of the packets processed.", t.messages.Load),
		counterOf("analyzer_traced_packets_total", "Packets processed that came with a traceparent.", t.traced.Load),
		counterOf("analyzer_duplicate_packets_total", "Packets dropped as duplicates: same ids and content.", t.duplicates.Load),
		counterOf("analyzer_id_conflicts_total", "Packets processed whose ids were used by other content within the duplicate window.", window.Conflicts),
	)
	return &metrics{processing, requests.WithLabelValues("single"), requests.WithLabelValues("ndjson")}
}

func counterOf(name, help string, read func() int64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
		func() float64 { return float64(read()) })
}

// counterCollector exports the labelled counters.
type counterCollector struct{ counters *counters }

var (
	byLevelMetric = prometheus.NewDesc("analyzer_messages_by_level_total",
		"Messages processed, by canonical level.", []string{"level"}, nil)
	byServiceMetric = prometheus.NewDesc("analyzer_messages_by_service_total",
		"Messages processed, by metadata.service; none without one, other beyond the first hundred.", []string{"service"}, nil)
	refusedMetric = prometheus.NewDesc("analyzer_refused_packets_total",
		"Packets refused permanently, by reason.", []string{"reason"}, nil)
)

// Describe sends the metrics' descriptions.
func (c counterCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- byLevelMetric
	descriptions <- byServiceMetric
	descriptions <- refusedMetric
}

// Collect sends the counters as they are now.
func (c counterCollector) Collect(metrics chan<- prometheus.Metric) {
	send := func(metric *prometheus.Desc, count int64, label string) {
		metrics <- prometheus.MustNewConstMetric(metric, prometheus.CounterValue, float64(count), label)
	}
	for level, count := range c.counters.levels() {
		send(byLevelMetric, count, level)
	}
	for _, service := range c.counters.services() {
		send(byServiceMetric, service.Messages, service.Service)
	}
	for reason, count := range c.counters.refusedByCode() {
		send(refusedMetric, count, reason)
	}
}
