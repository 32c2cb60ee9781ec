package jetstream

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/metric"
)

// metrics has the counters and the histogram; gauges read the journal at each scrape.
type metrics struct {
	publish      prometheus.Histogram
	stored       prometheus.Counter
	damaged      prometheus.Counter
	resends      prometheus.Counter
	redeliveries prometheus.Counter
	returned     prometheus.Counter
	expired      prometheus.Counter
	separated    prometheus.Counter
}

func newMetrics(r *metric.Registry) *metrics {
	return &metrics{
		publish:      r.Histogram("distributor_jetstream_publish_seconds", "Time until a stream acknowledged an envelope.", prometheus.ExponentialBuckets(0.0001, 2, 17)),
		stored:       r.Counter("distributor_jetstream_published_envelopes_total", "Envelopes that a stream has acknowledged."),
		damaged:      r.Counter("distributor_jetstream_damaged_packets_total", "Accepted, undelivered packets that could not be read and were quarantined."),
		resends:      r.Counter("distributor_jetstream_resends_total", "Envelopes that were published again because no stream acknowledged them."),
		redeliveries: r.Counter("distributor_jetstream_redeliveries_total", "Envelopes that a stream delivered again: their packets may be duplicates."),
		returned:     r.Counter("distributor_jetstream_returned_packets_total", "Packets that were received and given back to the streams undelivered."),
		expired:      r.Counter("distributor_jetstream_expired_claims_total", "Envelopes whose claim ended before a packet of them was routed."),
		separated:    r.Counter("distributor_jetstream_separated_envelopes_total", "Envelopes whose undelivered packets were published again in an envelope of their own."),
	}
}

// published counts a stored envelope.
func (m *metrics) published(o *publication, now time.Time) {
	m.stored.Inc()
	m.publish.Observe(now.Sub(o.begun).Seconds())
}

// registerGauges registers the gauges that read the journal at each scrape.
func (j *Journal) registerGauges(r *metric.Registry) {
	gauge := func(name, help string, readLocked func() float64) {
		r.GaugeFunc(name, help, nil, func() float64 {
			j.mu.Lock()
			defer j.mu.Unlock()
			return readLocked()
		})
	}
	gauge("distributor_jetstream_bytes", "Bytes of the streams, without replicas.", func() float64 { bytes, _ := j.streamBytesLocked(); return float64(bytes) })
	gauge("distributor_jetstream_limit_bytes", "Maximum bytes of the streams, without replicas (JETSTREAM_MAX_BYTES).", func() float64 { _, limit := j.streamBytesLocked(); return float64(limit) })
	gauge("distributor_jetstream_streams", "Streams that packets are published to (JETSTREAM_PARTITIONS).", func() float64 { return float64(j.config.Partitions) })
	gauge("distributor_jetstream_writable_streams", "Streams that acknowledge what is published.", func() float64 { return float64(j.writableLocked()) })
	gauge("distributor_jetstream_missing_replicas", "Servers that should keep a stream and are away or behind, over all streams.", func() float64 { return float64(j.missingReplicasLocked()) })
	gauge("distributor_jetstream_stored_envelopes", "Envelopes in the streams, of all distributors.", func() float64 { return float64(j.storedLocked()) })
	gauge("distributor_jetstream_claimed_envelopes", "Envelopes that this distributor has received and not yet acknowledged.", func() float64 { return float64(len(j.claims)) })
	r.GaugeFunc("distributor_jetstream_oldest_age_seconds", "Age of the oldest envelope in the streams, 0 if there is none.", nil, func() float64 {
		oldest := j.Oldest()
		if oldest.IsZero() {
			return 0
		}
		return max(0, time.Since(oldest).Seconds())
	})
}

func (j *Journal) missingReplicasLocked() (missing int) {
	for _, p := range j.partitions {
		missing += max(p.state.replicas-p.state.current, 0)
	}
	return missing
}

// Stored implements journal.Shared.
func (j *Journal) Stored() journal.Stored {
	j.mu.Lock()
	defer j.mu.Unlock()
	bytes, limit := j.streamBytesLocked()
	return journal.Stored{Envelopes: j.storedLocked(), Bytes: bytes, Limit: limit}
}

func (j *Journal) storedLocked() (envelopes int64) {
	for _, p := range j.partitions {
		envelopes += p.state.messages
	}
	return envelopes
}
