package upstream

import (
	"testing"
	"time"
)

// tick is the number of packets settled within a tick, and bound at its end.
type tick struct{ settled, bound int64 }

func TestLimitFollowsRate(t *testing.T) {
	times := func(n int, one tick) []tick {
		var ticks []tick
		for range n {
			ticks = append(ticks, one)
		}
		return ticks
	}
	for _, test := range []struct {
		name  string
		ticks []tick
		limit int
	}{
		{"idle: the configured maximum", times(10, tick{0, 0}), 10_000},
		{"fast", times(10, tick{5000, 100}), 10_000},
		{"the packets of a second", times(10, tick{50, 700}), 500},
		{"the start of a burst", append(times(10, tick{0, 0}), times(5, tick{0, 5000})...), 10_000},
		{"a burst that is not settled", append(times(10, tick{0, 0}), times(6, tick{0, 5000})...), 16},
		{"slow: the minimum keeps the senders busy", times(50, tick{1, 100}), 16},
		{"a short stall is within the grace", append(times(10, tick{500, 900}), times(5, tick{0, 6000})...), 10_000},
		{"a long stall is not", append(times(10, tick{500, 900}), times(7, tick{0, 6000})...), 1048},
		{"a rise is followed at once", append(times(20, tick{10, 200}), tick{300, 3001}), 3000},
		{"a fall is smoothed", append(times(20, tick{100, 1100}), times(2, tick{50, 1100})...), 820},
		{"the limit doubles while the queue is short", append(times(50, tick{1, 100}), tick{1, 4}, tick{1, 4}), 64},
		{"the limit does not grow while the queue is long", append(times(50, tick{1, 100}), times(10, tick{1, 5})...), 16},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l limit
			config := DefaultConfig()
			l.init(config)
			for _, tick := range test.ticks {
				l.settled.Add(tick.settled)
				l.adapt(tick.bound, &config)
				if now := l.now(); now < 2*config.Concurrency || now > config.QueuePackets {
					t.Fatalf("the limit is %d", now)
				}
			}
			if got := l.now(); got != test.limit {
				t.Errorf("the limit is %d, want %d", got, test.limit)
			}
		})
	}
}

func TestLimitReportsExcess(t *testing.T) {
	var l limit
	config := DefaultConfig()
	l.init(config)
	for range graceTicks {
		l.settled.Add(10)
		if _, excess := l.adapt(1000, &config); excess {
			t.Error("excess is reported within the grace")
		}
	}
	l.settled.Add(10)
	if _, excess := l.adapt(199, &config); excess {
		t.Error("the packets of two seconds are reported as excess")
	}
	l.settled.Add(10)
	if keep, excess := l.adapt(201, &config); !excess || keep != 100 {
		t.Errorf("of the packets of more than two seconds %d are kept (%v), want 100", keep, excess)
	}
}

func TestTickReturnsExcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Timeout = time.Hour
		b := start(t, config, newFakeSink(t, always(hanging)))
		b.Offer(b.packets.some(t, 500))
		for range graceTicks + 1 {
			time.Sleep(TickInterval)
			b.Tick()
		}
		b.settler.await(t, 498) // the minimum is 2
		if b.settler.count("returned") != 498 || b.settler.outcomeOf(1) != "" || b.settler.outcomeOf(500) == "" {
			t.Errorf("outcomes: %v; want the newest returned", b.settler.summary())
		}
		if capacity, transient := b.Capacity(time.Now()); capacity != 0 || !transient {
			t.Errorf("the capacity is %d, transient: %v", capacity, transient)
		}
		if b.BelowLowWatermark() {
			t.Error("a full queue is below the low watermark")
		}
	})
}

func TestBatchSize(t *testing.T) {
	const timeout = 400 * time.Millisecond
	for _, test := range []struct {
		name      string
		now, want int64
		n         int
		took      time.Duration
	}{
		{"full and fast: doubled", 8, 16, 8, 40 * time.Millisecond},
		{"not full: unchanged", 8, 8, 7, time.Millisecond},
		{"full and neither: unchanged", 8, 8, 8, 60 * time.Millisecond},
		{"slow: half of the batch", 8, 4, 8, 120 * time.Millisecond},
		{"slow and small", 64, 2, 4, 120 * time.Millisecond},
		{"slow single packet", 8, 8, 1, 300 * time.Millisecond},
		{"at the maximum", maxBatchPackets, maxBatchPackets, maxBatchPackets, time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b batchSize
			b.packets.Store(test.now)
			if b.adapt(test.n, test.took, timeout); b.packets.Load() != test.want {
				t.Errorf("%d after %d packets took %v, want %d", b.packets.Load(), test.n, test.took, test.want)
			}
		})
	}
}

// However many senders there are, none starts on an empty queue.
func TestNoSenderStartsOnEmptyQueue(t *testing.T) {
	for _, sending := range []int{0, 1, 2, 8, 63, 64, 65, 66, 1024} {
		q := newQueue()
		q.sending = sending
		for _, packets := range []int{1, 64, 1024} {
			if q.mayStartLocked(batchLimits{packets: packets, flushSize: packets}) {
				t.Errorf("with %d sending another sender starts on an empty queue", sending)
			}
		}
	}
}
