package ratelimit

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Unix(1_700_000_000, 0)

func TestNoLimitAcceptsAll(t *testing.T) {
	if _, ok := New(Config{}).Take([]byte("e"), 1_000_000, start); !ok {
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
			wait, ok := l.Take([]byte("e"), messages, now)
			if !ok {
				if _, early := l.Take([]byte("e"), messages, now.Add(wait-time.Microsecond)); early {
					t.Fatalf("accepted before the returned wait of %v", wait)
				}
				now = now.Add(wait)
				if again, ok := l.Take([]byte("e"), messages, now); !ok {
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
		if _, ok := l.Take([]byte("limited"), 1, start); !ok {
			break
		}
	}
	if _, ok := l.Take([]byte("other"), 10, start); !ok {
		t.Error("one emitter's messages were charged to another")
	}
}

func TestRefund(t *testing.T) {
	l := New(Config{Rate: 10, Burst: 10})
	for range 100 {
		if wait, ok := l.Take([]byte("e"), 10, start); !ok {
			t.Fatalf("a refund is not credited: wait %v", wait)
		}
		l.Refund([]byte("e"), 10)
	}
}

func TestBucketsAreBounded(t *testing.T) {
	l := New(Config{Rate: 1, Burst: 5})
	for i := range 3 * maxBuckets {
		l.Take(fmt.Append(nil, i), 1, start.Add(time.Duration(i)*time.Microsecond))
	}
	buckets := 0
	for i := range l.shards {
		buckets += len(l.shards[i].full)
	}
	if buckets > maxBuckets {
		t.Errorf("%d buckets, the maximum is %d", buckets, maxBuckets)
	}
}

func BenchmarkTake(b *testing.B) {
	l, id := New(Config{Rate: 1e9, Burst: 1e9}), []byte("emitter-1")
	now := time.Now()
	for b.Loop() {
		l.Take(id, 5, now)
	}
}

// Times are relative to the start of the limiter, by its monotonic reading, so
// that changes of the wall clock have no effect.
func TestTimesAreRelativeToTheStart(t *testing.T) {
	l := New(Config{Rate: 10, Burst: 10})
	now := time.Now()
	if _, ok := l.Take([]byte("e"), 10, now); !ok {
		t.Fatal("a first burst is refused")
	}
	for i := range l.shards {
		for _, full := range l.shards[i].full {
			if full > time.Minute {
				t.Errorf("the bucket is full %v after the start", full)
			}
		}
	}
}

// Extreme settings and packet sizes do not overflow.
func TestExtremes(t *testing.T) {
	for _, config := range []Config{{1e-9, 1}, {1e-9, 1e18}, {1e12, 1e18}, {3e8, 1}, {0.001, 1e9}} {
		l := New(config)
		id := []byte("e")
		if _, ok := l.Take(id, 10_000, start); !ok {
			t.Errorf("%+v refuses the first packet", config)
		}
		if wait, ok := l.Take(id, 1_000_000_000, start); ok && config.Burst < 1e9 || wait < 0 {
			t.Errorf("%+v: accepted %v, wait %v", config, ok, wait)
		}
	}
	l := New(Config{Rate: 3e9, Burst: 1}) // less than a nanosecond each
	l.Take([]byte("e"), 3_000_000_000, start)
	if wait, ok := l.Take([]byte("e"), 1, start); ok || wait < 990*time.Millisecond {
		t.Errorf("the debt of a second is %v", wait)
	}
}
