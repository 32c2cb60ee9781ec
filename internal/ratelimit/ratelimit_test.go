package ratelimit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

var start = time.Unix(1_700_000_000, 0)

func TestNoLimitAcceptsAll(t *testing.T) {
	if _, ok := New(Config{}).Take([]byte("e"), []byte("e"), 1_000_000, start); !ok {
		t.Error("without a limit messages were refused")
	}
}

// In no window does an emitter exceed its burst and rate, and a call after the
// returned wait succeeds.
func TestRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := Config{
			Rate:  float64(rapid.IntRange(1, 1000).Draw(t, "rate")),
			Burst: float64(rapid.IntRange(1, 500).Draw(t, "burst")),
		}
		l := New(config)
		type grant struct {
			at       time.Time
			messages int
		}
		var grants []grant
		now := start
		for range rapid.IntRange(1, 60).Draw(t, "packets") {
			now = now.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "ms")) * time.Millisecond)
			messages := rapid.IntRange(1, 100).Draw(t, "messages")
			wait, ok := l.Take([]byte("e"), []byte("e"), messages, now)
			if !ok {
				if _, early := l.Take([]byte("e"), []byte("e"), messages, now.Add(wait-time.Microsecond)); early {
					t.Fatalf("accepted before the returned wait of %v", wait)
				}
				now = now.Add(wait)
				if again, ok := l.Take([]byte("e"), []byte("e"), messages, now); !ok {
					t.Fatalf("refused after the returned wait of %v, which is now %v", wait, again)
				}
			}
			grants = append(grants, grant{now, messages})
			sum, maxMessages := 0, 0
			for i := len(grants) - 1; i >= 0; i-- {
				sum += grants[i].messages
				maxMessages = max(maxMessages, grants[i].messages)
				allowed := config.Burst + float64(maxMessages) + config.Rate*now.Sub(grants[i].at).Seconds()
				if float64(sum) > allowed+1 {
					t.Fatalf("%d messages in %v, %.0f are allowed", sum, now.Sub(grants[i].at), allowed)
				}
			}
		}
	})
}

func TestEmittersDoNotShare(t *testing.T) {
	l := New(Config{Rate: 10, Burst: 10})
	for {
		if _, ok := l.Take([]byte("limited"), []byte("limited"), 1, start); !ok {
			break
		}
	}
	if _, ok := l.Take([]byte("other"), []byte("other"), 10, start); !ok {
		t.Error("one emitter's messages were charged to another")
	}
}

func TestRefund(t *testing.T) {
	l := New(Config{Rate: 10, Burst: 10})
	for range 100 {
		if wait, ok := l.Take([]byte("e"), []byte("e"), 10, start); !ok {
			t.Fatalf("a refund is not credited: wait %v", wait)
		}
		l.Refund([]byte("e"), 10)
	}
}

func TestBucketsAreBounded(t *testing.T) {
	l := New(Config{Rate: 1, Burst: 5})
	for i := range 3 * maxBuckets {
		l.Take(fmt.Append(nil, i), fmt.Append(nil, i), 1, start.Add(time.Duration(i)*time.Microsecond))
	}
	buckets := 0
	for i := range l.shards {
		buckets += len(l.shards[i].buckets)
	}
	if buckets > maxBuckets {
		t.Errorf("%d buckets, the maximum is %d", buckets, maxBuckets)
	}
}

func BenchmarkTake(b *testing.B) {
	l, id := New(Config{Rate: 1e9, Burst: 1e9}), []byte("emitter-1")
	now := time.Now()
	for b.Loop() {
		l.Take(id, id, 5, now)
	}
}

// Times are relative to the start of the limiter, by its monotonic reading, so
// that changes of the wall clock have no effect.
func TestTimesAreRelativeToTheStart(t *testing.T) {
	l := New(Config{Rate: 10, Burst: 10})
	now := time.Now()
	if _, ok := l.Take([]byte("e"), []byte("e"), 10, now); !ok {
		t.Fatal("a first burst is refused")
	}
	for i := range l.shards {
		for _, b := range l.shards[i].buckets {
			if full := b.full; full > time.Minute {
				t.Errorf("the bucket is full %v after the start", full)
			}
		}
	}
}

// Extreme settings and packet sizes do not overflow.
func TestExtremes(t *testing.T) {
	for _, config := range []Config{{Rate: 1e-9, Burst: 1}, {Rate: 1e-9, Burst: 1e18}, {Rate: 1e12, Burst: 1e18}, {Rate: 3e8, Burst: 1}, {Rate: 0.001, Burst: 1e9}} {
		l := New(config)
		id := []byte("e")
		if _, ok := l.Take(id, id, 10_000, start); !ok {
			t.Errorf("%+v refuses the first packet", config)
		}
		if wait, ok := l.Take(id, id, 1_000_000_000, start); ok && config.Burst < 1e9 || wait < 0 {
			t.Errorf("%+v: accepted %v, wait %v", config, ok, wait)
		}
	}
	l := New(Config{Rate: 3e9, Burst: 1}) // less than a nanosecond each
	l.Take([]byte("e"), []byte("e"), 3_000_000_000, start)
	if wait, ok := l.Take([]byte("e"), []byte("e"), 1, start); ok || wait < 990*time.Millisecond {
		t.Errorf("the debt of a second is %v", wait)
	}
}

// A change of the rate keeps what an emitter has used of its burst, in messages.
func TestConfigureKeepsBuckets(t *testing.T) {
	for _, change := range [][2]Config{
		{{Rate: 10, Burst: 100}, {Rate: 1000, Burst: 100}},
		{{Rate: 1000, Burst: 100}, {Rate: 10, Burst: 100}},
		{{Rate: 10, Burst: 100}, {Limits: Limits{{Emitter: "e", Rate: 1000, Burst: 100}}}},
		{{Limits: Limits{{Emitter: "e", Rate: 1000, Burst: 100}}}, {Rate: 10, Burst: 100}},
	} {
		synctest.Test(t, func(t *testing.T) {
			l, id := New(change[0]), []byte("e")
			if _, ok := l.Take(id, id, 99, time.Now()); !ok {
				t.Fatal("a first burst is refused")
			}
			l.Configure(change[1])
			if _, ok := l.Take(id, id, 3, time.Now()); ok {
				t.Errorf("%v: a used burst is forgotten", change)
			}
			if _, ok := l.Take(id, id, 1, time.Now()); !ok {
				t.Errorf("%v: what is left of the burst is refused", change)
			}
		})
	}
}

// Single limits override the common one, and only for their emitter.
func TestSingleLimits(t *testing.T) {
	odd := "\x00\u2028\"é"
	l := New(Config{Rate: 10, Burst: 10, Limits: Limits{{Emitter: "free"}, {Emitter: odd, Rate: 1, Burst: 20}}})
	for id, want := range map[string]int{"free": 50, odd: 20, "other": 10} {
		got := 0
		for range 50 {
			if _, ok := l.Take([]byte("principal\xff"+id), []byte(id), 1, l.start); ok {
				got++
			}
		}
		if got != want {
			t.Errorf("%q sent %d messages, want %d", id, got, want)
		}
	}
	if l.Configure(Config{}); l.Limits() {
		t.Error("no limit is one")
	}
	if _, ok := l.Take([]byte("other"), []byte("other"), 50, l.start); !ok {
		t.Error("an emitter is limited without a limit")
	}
}

// An emitter that was idle before a change of the rate has the burst that it had earned.
func TestConfigureSettlesIdleBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, id := New(Config{Rate: 1000, Burst: 1000}), []byte("e")
		l.Take(id, id, 1000, time.Now())
		time.Sleep(time.Second)
		l.Configure(Config{Rate: 1, Burst: 1000})
		time.Sleep(time.Second)
		if wait, ok := l.Take(id, id, 1000, time.Now()); !ok {
			t.Errorf("the emitter must wait %v", wait)
		}
	})
}

func TestLimitsAsText(t *testing.T) {
	limits := Limits{{Emitter: "a\x00\"é", Rate: 1.5, Burst: 3}, {Emitter: "b"}}
	var parsed Limits
	if err := parsed.UnmarshalText([]byte(limits.String())); err != nil || !slices.Equal(parsed, limits) {
		t.Errorf("%v, %v", parsed, err)
	}
	for text, want := range map[string]string{
		"x":                              "a list of objects is needed",
		`[{"emitter":"a","rate":1}]x`:    "a list of objects is needed",
		`[{"emiter":"a","rate":1}]`:      `unknown field "emiter"`,
		` {"emitter":"a","limit":1}`:     `unknown field "limit"`,
		`[{"emitter":"a","rate":"1/s"}]`: "a list of objects is needed",
	} {
		if err := new(Limits).UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`[{"emitter":"a","rate":-1}]`:           "0 (none) or more",
		`[{"rate":1}]`:                          "must be an emitter_id",
		`[{"emitter":"a"},{"emitter":"a"}]`:     "listed twice",
		`[{"emitter":"a","burst":5}]`:           "must be 0 without a rate",
		`[{"emitter":"a","rate":1,"burst":-1}]`: "0 (as much as the rate) or more",
	} {
		if err := parsed.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if err := parsed.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// One of three distributors allows a third of the limits of a cluster.
func TestPart(t *testing.T) {
	whole := Config{Rate: 30, Burst: 90, Scope: ScopeCluster, Limits: Limits{{Emitter: "one", Rate: 3, Burst: 6}, {Emitter: "free"}}}
	part := whole.Part(3)
	if part.Rate != 10 || part.Burst != 30 || part.Limits[0] != (Limit{"one", 1, 2}) || part.Limits[1] != (Limit{Emitter: "free"}) {
		t.Errorf("%+v", part)
	}
	if whole.Limits[0].Rate != 3 || whole.Part(1).Rate != 30 {
		t.Errorf("%+v", whole)
	}
	whole.Scope = ScopeDistributor
	if got := whole.Part(3); got.Rate != 30 {
		t.Errorf("%+v", got)
	}
}
