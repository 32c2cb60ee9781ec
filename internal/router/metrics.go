package router

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

func newDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// collector collects the statistics. All values of a scrape are from one
// snapshot, so that shares computed from them are within the deviation limit.
type collector struct {
	router *Router

	packets, messages, target, effective, deviation, deviationLimit, reroutes, quarantined *prometheus.Desc
	// Deprecated names of the last release.
	oldDeviationLimit, oldQuarantined *prometheus.Desc
}

// Register registers the metrics.
func (r *Router) Register(registerer prometheus.Registerer) error {
	return registerer.Register(&collector{
		router: r,
		packets: newDesc("distributor_packets_by_analyzer_total",
			"Packets routed to the analyzer; a rerouted packet counts again.", "analyzer"),
		messages: newDesc("distributor_messages_by_analyzer_total",
			"Messages of packets routed to the analyzer; those of a rerouted packet count again.", "analyzer"),
		target: newDesc("distributor_share_target_ratio", "The analyzer's configured share of messages.", "analyzer"),
		effective: newDesc("distributor_share_effective_ratio",
			"The analyzer's current share of messages: 0 while it is inactive.", "analyzer"),
		deviation: newDesc("distributor_share_deviation_messages",
			"By how many messages the analyzer is below its share (above it, if negative) since the set of active analyzers last changed.", "analyzer"),
		deviationLimit: newDesc("distributor_share_deviation_limit_messages", "The maximum deviation of an analyzer from its share, in messages: of all distributors of a cluster together, that is once for each."),
		reroutes:       newDesc("distributor_rerouted_packets_total", "Packets that were rerouted from the analyzer to another.", "from"),
		quarantined: newDesc("distributor_quarantined_packets",
			"Packets with which analyzers keep failing while they accept others; each is retried alone, with increasing delays."),
		oldDeviationLimit: newDesc("distributor_share_bound_messages", "Deprecated: use distributor_share_deviation_limit_messages."),
		oldQuarantined:    newDesc("distributor_set_apart_packets", "Deprecated: use distributor_quarantined_packets."),
	})
}

// SetDistributors sets how many distributors route packets by the same shares, each with its own
// deviation: the limit in the metrics is that of all together. It may be called concurrently.
func (r *Router) SetDistributors(n int) { r.distributors.Store(int64(n)) }

// Describe implements prometheus.Collector.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.packets, c.messages, c.target, c.effective, c.deviation, c.deviationLimit, c.reroutes, c.quarantined, c.oldDeviationLimit, c.oldQuarantined} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	counter := func(desc *prometheus.Desc, value int64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	stats := c.router.Stats()
	for _, m := range stats.Members {
		gauge(c.target, m.Target, m.ID)
		gauge(c.effective, m.Effective, m.ID)
		gauge(c.deviation, m.DeviationMessages, m.ID)
	}
	for _, m := range slices.Concat(stats.Members, stats.Former) {
		counter(c.packets, m.Routed.Packets, m.ID)
		counter(c.messages, m.Routed.Messages, m.ID)
		counter(c.reroutes, m.Rerouted, m.ID)
	}
	limit := stats.MaxDeviationMessages * float64(max(1, c.router.distributors.Load()))
	gauge(c.deviationLimit, limit)
	gauge(c.oldDeviationLimit, limit)
	gauge(c.quarantined, float64(stats.Quarantined))
	gauge(c.oldQuarantined, float64(stats.Quarantined))
}
