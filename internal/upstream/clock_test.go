package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/clocktest"
)

// Times outside of a bubble have a monotonic reading. These tests start nothing and do
// not wait.

func TestPauseAfterClockChange(t *testing.T) {
	b := prepare(t, testConfig(), newFakeSink(t, nil))
	b.probed.Store(true)
	now := time.Now()
	b.pause(now.Add(time.Hour))
	if capacity, _ := b.Capacity(clocktest.SetBack(t, now.Add(time.Minute), -2*time.Hour)); capacity > 0 {
		t.Error("the pause ends early when the clock is set forward")
	}
	if capacity, _ := b.Capacity(clocktest.SetBack(t, now.Add(time.Hour+time.Minute), 2*time.Hour)); capacity == 0 {
		t.Error("the pause does not end when the clock is set back")
	}
}

func TestSlowStartAfterClockChange(t *testing.T) {
	config := testConfig()
	config.SlowStart = time.Hour
	b := prepare(t, config, newFakeSink(t, nil))
	b.onTransition(breaker.Transition{From: breaker.HalfOpen, To: breaker.Closed}, "test")
	half := clocktest.SetBack(t, time.Now().Add(config.SlowStart/2), 2*time.Hour)
	if got := b.Ramp(half); got < 0.49 || got > 0.51 {
		t.Errorf("after half of the slow start the weight is %v of the configured one", got)
	}
}

func TestDeliveredSinceAfterClockChange(t *testing.T) {
	b := prepare(t, testConfig(), newFakeSink(t, nil))
	failed := time.Now()
	b.lastDelivered.Store(b.elapsed(clocktest.SetBack(t, failed.Add(time.Minute), time.Hour)))
	if !b.deliveredSince(failed) {
		t.Error("deliveredSince is false after a delivery")
	}
	if b.deliveredSince(failed.Add(2 * time.Minute)) {
		t.Error("deliveredSince is true without a delivery")
	}
}

// A packet that was read back from disk after the clock was set back has an acceptance time
// in the future.
func TestLatencyIsNotNegative(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := start(t, testConfig(), newFakeSink(t, always(ok)))
		packets := b.packets.some(t, 1)
		packets[0].Packet.Accepted = time.Now().Add(time.Hour)
		b.Offer(packets)
		synctest.Wait()
		latency := b.metrics.latency
		latency.mu.Lock()
		defer latency.mu.Unlock()
		if latency.count != 1 || latency.buffer[0] < 0 {
			t.Errorf("the latency is %v s", latency.buffer[:latency.count])
		}
	})
}
