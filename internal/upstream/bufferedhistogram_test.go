package upstream

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Each observation is collected exactly once, however many there are.
func TestBufferedObservationsAreCollected(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	metrics, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	var histograms []*bufferedHistogram
	for _, id := range []string{"one", "other"} {
		config := DefaultConfig()
		config.ID = id
		u := New(config, Dependencies{Sink: newFakeSink(t, nil), Logger: slog.New(slog.DiscardHandler), Metrics: metrics})
		histograms = append(histograms, u.metrics.latency)
	}
	one, other := histograms[0], histograms[1]
	seen := func() (count uint64, sum float64) {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == "distributor_delivery_latency_seconds" {
					count += m.GetHistogram().GetSampleCount()
					sum += m.GetHistogram().GetSampleSum()
				}
			}
		}
		return count, sum
	}
	for i := range uint64(200) {
		one.observe(1)
		other.observe(2)
		if i%7 != 0 {
			continue
		}
		if count, sum := seen(); count != 2*(i+1) || sum != float64(3*(i+1)) {
			t.Fatalf("after %d observations each, %d are collected, with the sum %v", i+1, count, sum)
		}
	}
}
