package distributor

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/intake"
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

// What the tags say is what the packages mean.
func TestTagsAgreeWithConstants(t *testing.T) {
	for path, want := range map[string]string{
		"Routing enum":                 RoutingAdaptive + "," + RoutingStrict,
		"Journal enum":                 JournalMemory + "," + JournalDisk + "," + JournalJetStream,
		"Intake.Ack enum":              strings.Join(intake.Acks(), ","),
		"Native.MaxPacketMessages max": strconv.Itoa(fairshare.MaxMessages),
	} {
		name, tag, _ := strings.Cut(path, " ")
		at, found := reflect.TypeFor[Config](), reflect.StructField{}
		for part := range strings.SplitSeq(name, ".") {
			found, _ = at.FieldByName(part)
			at = found.Type
		}
		if got := found.Tag.Get(tag); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}

// Dead letters are as durable as packets.
func TestDeadLettersAreDurableWithAStoringJournal(t *testing.T) {
	for journal, want := range map[string]bool{JournalMemory: false, JournalDisk: true, JournalJetStream: true} {
		if got := (Config{Journal: journal}).deadLetters().Durable; got != want {
			t.Errorf("JOURNAL=%s: %v", journal, got)
		}
	}
}
