package distributor

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/metric"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protocol/native"
)

// registerIntake exports the intake's counters.
func (d *Distributor) registerIntake() error {
	r := metric.On(d.registry)
	counter := func(name, help string, labels prometheus.Labels, value func() int64) {
		r.CounterFunc(name, help, labels, func() float64 { return float64(value()) })
	}
	for _, reason := range native.Reasons() {
		counter("distributor_refused_packets_total",
			"Packets that were not accepted, by reason; a request that could not be read counts as one.",
			prometheus.Labels{"reason": reason}, func() int64 { return d.intake.Refused(reason) })
	}
	for level := packet.LevelTrace; level <= packet.LevelCritical; level++ {
		counter("distributor_shed_packets_total",
			"Packets that were refused to leave capacity for more important ones (SHED), by their highest level.",
			prometheus.Labels{"level": level.String()}, func() int64 { return d.intake.ShedPackets(level) })
	}
	counter("distributor_duplicate_packets_total",
		"Packets that were accepted before and came again with the same content, which were answered and not delivered again.",
		nil, d.intake.Duplicates)
	counter("distributor_id_conflicts_total",
		"Packets that were accepted, and are delivered, although other content came under their ids within the duplicate window.",
		nil, func() int64 { return d.sumOfWindows((*dedupe.Window).Conflicts) })
	counter("distributor_duplicate_window_dropped_records_total",
		"Records of the duplicate window that were not stored because its files could not be written: a restart forgets them.",
		nil, func() int64 { return d.sumOfWindows((*dedupe.Window).Dropped) })
	return r.Err()
}

// sumOfWindows returns the sum of a counter of the duplicate windows.
func (d *Distributor) sumOfWindows(counter func(*dedupe.Window) int64) (sum int64) {
	for _, w := range d.windows() {
		sum += counter(w)
	}
	return sum
}
