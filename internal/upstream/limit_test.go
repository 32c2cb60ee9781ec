package upstream

import (
	"testing"
	"time"
)

// tick is what an analyzer handles within a tick, and how many packets are
// bound to it at its end.
type tick struct{ handled, bound int64 }

func TestLimitFollowsThePace(t *testing.T) {
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
		{"idle: all that is configured", times(10, tick{0, 0}), 10_000},
		{"fast", times(10, tick{5000, 100}), 10_000},
		{"a second's worth", times(10, tick{50, 700}), 500},
		{"a burst begins", append(times(10, tick{0, 0}), times(5, tick{0, 5000})...), 10_000},
		{"a burst that is not handled", append(times(10, tick{0, 0}), times(6, tick{0, 5000})...), 16},
		{"slow: no less than keeps the senders busy", times(50, tick{1, 100}), 16},
		{"a pause is not slowness", append(times(10, tick{500, 900}), times(5, tick{0, 6000})...), 10_000},
		{"a long pause is", append(times(10, tick{500, 900}), times(7, tick{0, 6000})...), 1048},
		{"a rise is followed at once", append(times(20, tick{10, 200}), tick{300, 3001}), 3000},
		{"and a fall slowly", append(times(20, tick{100, 1100}), times(2, tick{50, 1100})...), 820},
		{"room comes back twofold", append(times(50, tick{1, 100}), tick{1, 4}, tick{1, 4}), 64},
		{"but not while much is bound", append(times(50, tick{1, 100}), times(10, tick{1, 5})...), 16},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l limit
			config := DefaultConfig()
			l.init(config)
			for _, tick := range test.ticks {
				l.handled.Add(tick.handled)
				l.adapt(tick.bound)
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

func TestLimitTrimsOnlyWhatIsFarTooMuch(t *testing.T) {
	var l limit
	l.init(DefaultConfig())
	for range ticksOfGrace {
		l.handled.Add(10)
		if _, tooMuch := l.adapt(1000); tooMuch {
			t.Error("what was just bound is taken away")
		}
	}
	l.handled.Add(10)
	if _, tooMuch := l.adapt(199); tooMuch {
		t.Error("two seconds' worth is taken away")
	}
	l.handled.Add(10)
	if keep, tooMuch := l.adapt(201); !tooMuch || keep != 100 {
		t.Errorf("of more than two seconds' worth %d is kept (%v), want 100", keep, tooMuch)
	}
}

func TestTickReturnsWhatIsFarTooMuch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Timeout = time.Hour
		b := start(t, config, newScripted(always(reply{hang: true})).dial)
		b.Offer(b.packets.some(t, 500))
		for range ticksOfGrace + 1 {
			time.Sleep(TickInterval)
			b.Tick()
		}
		b.settler.await(t, 498) // 2 is the least
		if b.settler.count("returned") != 498 || b.settler.fate(1) != "" || b.settler.fate(500) == "" {
			t.Errorf("fates: %v; the newest should go", b.settler.summary())
		}
		if room, brief := b.Capacity(time.Now()); room != 0 || !brief {
			t.Errorf("room is %d, %v", room, brief)
		}
		if b.BelowLowWatermark() {
			t.Error("a full queue is called resting")
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
		{"full and quick: doubled", 8, 16, 8, 40 * time.Millisecond},
		{"not full: says nothing", 8, 8, 7, time.Millisecond},
		{"full and middling", 8, 8, 8, 60 * time.Millisecond},
		{"slow: half of it", 8, 4, 8, 120 * time.Millisecond},
		{"slow, and was small", 64, 2, 4, 120 * time.Millisecond},
		{"slow single packet", 8, 8, 1, 300 * time.Millisecond},
		{"as large as may be", largestBatchPackets, largestBatchPackets, largestBatchPackets, time.Millisecond},
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

// However many senders there are, none starts with nothing to send.
func TestNoSenderStartsWithNothing(t *testing.T) {
	for _, sending := range []int{0, 1, 2, 8, 63, 64, 65, 66, 1024} {
		q := newQueue()
		q.sending = sending
		for _, packets := range []int{1, 64, 1024} {
			if q.mayStartLocked(batchLimits{packets: packets, enough: packets}) {
				t.Errorf("with %d under way another sender starts on an empty queue", sending)
			}
		}
	}
}
