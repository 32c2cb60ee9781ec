package emitter

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPace(t *testing.T) {
	for name, c := range map[string]struct {
		rate    float64
		elapsed time.Duration
		sent    int64
		want    time.Duration
	}{
		"the first is due at once":         {rate: 1000, want: 0},
		"the second waits":                 {rate: 1000, sent: 1, want: time.Millisecond},
		"part of the wait has passed":      {rate: 1000, elapsed: 300 * time.Microsecond, sent: 1, want: 700 * time.Microsecond},
		"due exactly now":                  {rate: 10, elapsed: time.Second, sent: 10, want: 0},
		"late does not wait":               {rate: 10, elapsed: time.Minute, sent: 10, want: 0},
		"ahead of the schedule waits long": {rate: 10, sent: 100, want: 10 * time.Second},
		"less than one a second":           {rate: 0.5, sent: 1, want: 2 * time.Second},
		"no rate never waits":              {rate: 0, sent: 1e9, want: 0},
		"a negative rate never waits":      {rate: -1, sent: 5, want: 0},
		"beyond what a duration can hold":  {rate: 1e-12, sent: 1e6, want: math.MaxInt64},
		"the largest counts":               {rate: 1e-300, sent: math.MaxInt64, elapsed: time.Hour, want: math.MaxInt64 - time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Pacer{Rate: c.rate}).Pace(c.elapsed, c.sent); got != c.want {
				t.Errorf("Pace(%v, %d) = %v, want %v", c.elapsed, c.sent, got, c.want)
			}
		})
	}
}

// The pacer never runs ahead of the schedule, and an undelayed sender is never
// late by a whole packet.
func TestPaceMatchesRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Pacer{Rate: rapid.Float64Range(0.1, 1e6).Draw(t, "rate")}
		stalls := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Second)), 0, 50).Draw(t, "stalls")
		var elapsed time.Duration
		for sent, stall := range stalls {
			elapsed += p.Pace(elapsed, int64(sent))
			if scheduled := p.Rate*elapsed.Seconds() + 1; float64(sent+1) > scheduled+1e-3 {
				t.Fatalf("packet %d left at %v, ahead of the schedule", sent+1, elapsed)
			}
			if next := p.due(int64(sent)); stall == 0 && next > elapsed {
				t.Fatalf("packet %d is due at %v and left at %v", sent+1, next, elapsed)
			}
			if p.due(int64(sent+1)) < p.due(int64(sent)) {
				t.Fatal("the schedule runs backwards")
			}
			elapsed += time.Duration(stall)
		}
	})
}
