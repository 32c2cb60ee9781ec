package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/clocktest"
)

// Outside of a bubble times have a monotonic reading. Nothing is started here, and
// nobody waits.

func TestPauseWhenTheClockIsSetBack(t *testing.T) {
	b := prepare(t, testConfig(), nil)
	b.asked.Store(true)
	now := time.Now()
	b.pause(now.Add(time.Hour))
	if room, _ := b.Capacity(clocktest.SetBack(t, now.Add(time.Minute), -2*time.Hour)); room > 0 {
		t.Error("the pause ends when the clock is set forward")
	}
	if room, _ := b.Capacity(clocktest.SetBack(t, now.Add(time.Hour+time.Minute), 2*time.Hour)); room == 0 {
		t.Error("the pause does not end when the clock is set back")
	}
}

func TestSlowStartWhenTheClockIsSetBack(t *testing.T) {
	config := testConfig()
	config.SlowStart = time.Hour
	b := prepare(t, config, nil)
	b.note(breaker.Transition{To: breaker.Closed}, true)("test")
	half := clocktest.SetBack(t, time.Now().Add(config.SlowStart/2), 2*time.Hour)
	if got := b.Weight(half) / config.Weight; got < 0.49 || got > 0.51 {
		t.Errorf("after half of the slow start it has %v of its weight", got)
	}
}

func TestWorksWhenTheClockIsSetBack(t *testing.T) {
	b := prepare(t, testConfig(), nil)
	failed := time.Now()
	b.latestTaken.Store(b.counted(clocktest.SetBack(t, failed.Add(time.Minute), time.Hour)))
	if !b.works(failed) {
		t.Error("an analyzer that has taken packets since is not thought to work")
	}
	if b.works(failed.Add(2 * time.Minute)) {
		t.Error("an analyzer that has taken none since is thought to work")
	}
}

// A packet that was read back from disk after the clock was set back seems to come
// from the future.
func TestLatencyIsNeverNegative(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, testConfig(), newScripted(always(ok)).dial)
		packets := b.packets.some(t, 1)
		packets[0].Accepted = time.Now().Add(time.Hour)
		b.Offer(packets)
		synctest.Wait()
		latency := b.metrics.latency
		latency.mu.Lock()
		defer latency.mu.Unlock()
		if latency.number != 1 || latency.gathered[0] < 0 {
			t.Errorf("it took %v s", latency.gathered[:latency.number])
		}
	})
}
