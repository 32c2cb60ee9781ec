package upstream

import "time"

// Configure replaces the configuration, except for the ID. Requests in flight keep the
// timeout that they began with. The configuration must be valid.
func (u *Upstream) Configure(next Config) {
	next.ID = u.id
	before := u.config.Swap(&next)
	if *before == next {
		return
	}
	u.limit.lower(int64(next.QueuePackets))
	u.breaker.Configure(next.breaker())
	u.senders.set(next.Concurrency)
	u.prober.rescheduled.Notify()
	u.settler.CapacityChanged()
}

// Evict returns all packets that are bound to the analyzer to the Settler: those that wait
// before it returns, those of requests in flight after their interruption. Until Admit, the
// analyzer is sent no packets. The caller must have stopped offering packets.
func (u *Upstream) Evict() {
	u.evicted.Store(true)
	u.nack(u.queue.trim(0))
	u.interrupt()
}

// Admit ends an eviction.
func (u *Upstream) Admit() {
	if u.evicted.Swap(false) {
		u.settler.CapacityChanged()
	}
}

// SetProbing stops or resumes health probes. After a stop the analyzer counts as unhealthy
// until the first probe succeeds, and slow start follows.
func (u *Upstream) SetProbing(on bool) {
	if u.unprobed.Swap(!on) == !on {
		return
	}
	u.probed.Store(false)
	u.prober.rescheduled.Notify()
}

// setProbed is called after a first probe. If maintenance began during it, that after the
// maintenance is the first one.
func (u *Upstream) setProbed() {
	if u.probed.Store(true); u.unprobed.Load() {
		u.probed.Store(false)
	}
}

// ResetBreaker closes the breaker at once; slow start follows.
func (u *Upstream) ResetBreaker() {
	u.onTransition(u.breaker.Reset(time.Now()), "an operator asked for it")
}

// OpenBreaker opens the breaker until a time, before which no probe closes it.
func (u *Upstream) OpenBreaker(until time.Time) {
	u.onTransition(u.breaker.ForceOpen(until), "an operator asked for it")
	u.prober.rescheduled.Notify()
}
