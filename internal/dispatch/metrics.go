package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// collector shows the books. All values of one scrape are of one moment, so
// that shares computed from them hold to the bound.
type collector struct {
	dispatcher *Dispatcher

	packets, messages, target, effective, deviation, bound, reroutes, apart *prometheus.Desc
}

// Register makes the books visible to Prometheus.
func (d *Dispatcher) Register(registerer prometheus.Registerer) error {
	return registerer.Register(&collector{
		dispatcher: d,
		packets: describe("distributor_packets_by_analyzer_total",
			"Packets routed to the analyzer; one that is routed again counts again.", "analyzer"),
		messages: describe("distributor_messages_by_analyzer_total",
			"Messages of packets routed to the analyzer; those of one that is routed again count again.", "analyzer"),
		target: describe("distributor_share_target_ratio", "The analyzer's configured share of messages.", "analyzer"),
		effective: describe("distributor_share_effective_ratio",
			"The share of messages that the analyzer is given now: 0 while it is out.", "analyzer"),
		deviation: describe("distributor_share_deviation_messages",
			"By how many messages the analyzer got less than its share (more, when negative) since the analyzers in the running last changed.", "analyzer"),
		bound:    describe("distributor_share_bound_messages", "By how many messages an analyzer may be off its share."),
		reroutes: describe("distributor_rerouted_packets_total", "Packets that moved from one analyzer to another.", "from", "to"),
		apart: describe("distributor_set_apart_packets",
			"Packets with which analyzers keep failing while they take others; each is tried alone, ever more rarely."),
	})
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.packets, c.messages, c.target, c.effective, c.deviation, c.bound, c.reroutes, c.apart} {
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
	books, reroutes := c.dispatcher.ledger.readAll()
	for _, a := range books.Analyzers {
		counter(c.packets, a.Routed.Packets, a.ID)
		counter(c.messages, a.Routed.Messages, a.ID)
		gauge(c.target, a.Target, a.ID)
		gauge(c.effective, a.Effective, a.ID)
		gauge(c.deviation, a.DeviationMessages, a.ID)
	}
	gauge(c.bound, books.BoundMessages)
	gauge(c.apart, float64(books.SetApart))
	for move, packets := range reroutes {
		counter(c.reroutes, packets, move.From, move.To)
	}
}
