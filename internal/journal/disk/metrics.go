package disk

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/metric"
)

// metrics has the counters and the histogram; gauges read the journal at each scrape.
type metrics struct {
	sync        prometheus.Histogram
	commits     prometheus.Counter
	quarantined prometheus.Counter
	writeErrors prometheus.Counter
}

func newMetrics(r *metric.Registry) *metrics {
	return &metrics{
		sync:        r.Histogram("distributor_journal_fsync_seconds", "Time to write and sync one group commit.", prometheus.ExponentialBuckets(0.0001, 2, 15)),
		commits:     r.Counter("distributor_journal_commits_total", "Group commits that reached stable storage."),
		quarantined: r.Counter("distributor_journal_quarantined_packets_total", "Accepted, undelivered packets that could not be read back and were quarantined."),
		writeErrors: r.Counter("distributor_journal_write_errors_total", "Failed writes and syncs of the journal."),
	}
}

// registerGauges registers the gauges that read the journal at each scrape.
func (j *Journal) registerGauges(r *metric.Registry) {
	gauge := func(name, help string, read func() float64) { r.GaugeFunc(name, help, nil, read) }
	gauge("distributor_journal_bytes", "Bytes of the journal on disk.", func() float64 { return float64(j.Status().Bytes) })
	gauge("distributor_journal_limit_bytes", "Maximum bytes of the journal on disk (JOURNAL_MAX_BYTES).", func() float64 { return float64(j.currentConfig().MaxBytes) })
	gauge("distributor_journal_oldest_age_seconds", "Age of the oldest undelivered packet, 0 if there is none.", func() float64 {
		oldest := j.Status().Oldest
		if oldest.IsZero() {
			return 0
		}
		return max(0, time.Since(oldest).Seconds())
	})
	gauge("distributor_journal_writable", "1 while the journal is writable, else 0.", func() float64 { return metric.Bool(j.Status().Unwritable == nil) })
}
