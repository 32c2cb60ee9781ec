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

// The bounds in the tags are equal to those of the packages.
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

func TestLargeBodies(t *testing.T) {
	for name, c := range map[string]struct {
		journal       string
		memory        int64
		inputs        Inputs
		limit, within string
	}{
		"default":   {JournalMemory, 256 << 20, DefaultConfig().Inputs, "", ""},
		"memory":    {JournalDisk, 256<<20 - 4, DefaultConfig().Inputs, "67108863 bytes", "MEMORY_LIMIT_BYTES is 268435452"},
		"jetstream": {JournalJetStream, 256 << 20, DefaultConfig().Inputs, "16777216 bytes", "INPUT_MAX_BODY_BYTES is 67108864"},
		"no inputs": {JournalMemory, 64 << 20, nil, "", ""},
	} {
		config := DefaultConfig()
		config.Journal, config.Memory.LimitBytes, config.Inputs = c.journal, c.memory, c.inputs
		got := strings.Join(config.LargeBodies(), "\n")
		if (got == "") != (c.limit == "") || !strings.Contains(got, c.limit) || !strings.Contains(got, c.within) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
