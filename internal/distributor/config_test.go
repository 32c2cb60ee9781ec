package distributor

import (
	"math"
	"strings"
	"testing"
)

// Weights that fairshare cannot represent are rejected.
func TestValidateRefusesWeights(t *testing.T) {
	for _, weight := range []float64{-1, 0, math.NaN(), 1.1e300, math.Inf(1)} {
		config := quick(t, Target{ID: "b", URL: "http://b", Weight: 1}, Target{ID: "a", URL: "http://a", Weight: weight})
		err := config.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "ANALYZERS: http://a=") || !strings.Contains(err.Error(), "above 0 and at most 1e+300") {
			t.Errorf("%g: %v", weight, err)
		}
	}
	for _, weight := range []float64{math.SmallestNonzeroFloat64, 1e300} {
		config := quick(t, Target{ID: "a", URL: "http://a", Weight: weight})
		if err := config.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// Dead letters are as durable as packets.
func TestDeadLettersAreDurableWithADiskJournal(t *testing.T) {
	for journal, want := range map[string]bool{JournalMemory: false, JournalDisk: true} {
		if got := (Config{Journal: journal}).deadLetters().Durable; got != want {
			t.Errorf("JOURNAL=%s: %v", journal, got)
		}
	}
}
