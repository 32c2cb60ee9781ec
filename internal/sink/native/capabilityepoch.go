package native

import "sync/atomic"

// capabilityEpoch counts the processes that may have served an analyzer's address. The
// capabilities that one of them advertised may not apply to the next, and a closed
// connection may be the only sign of a replacement. It is safe for concurrent use.
type capabilityEpoch struct {
	number atomic.Int64 // advances when the process may have been replaced
	ndjson atomic.Int64 // the last epoch known to accept NDJSON; 0 is none
	traces atomic.Int64 // that are accepted in a request of NDJSON
}

// init starts at epoch 1 with capabilities unknown.
func (e *capabilityEpoch) init() { e.number.Store(1) }

func (e *capabilityEpoch) acceptsNDJSON() bool { return e.ndjson.Load() == e.number.Load() }

// stale reports whether an earlier epoch accepted NDJSON and the current one is unknown.
func (e *capabilityEpoch) stale() bool {
	known := e.ndjson.Load()
	return known != 0 && known != e.number.Load()
}

// learn records what the analyzer advertised in the epoch number: how many traces a request
// of NDJSON may have, 0 if it accepts none.
func (e *capabilityEpoch) learn(number int64, traces int) {
	if traces == 0 {
		number = 0
	}
	e.traces.Store(int64(traces))
	e.ndjson.Store(number)
}

// advance ends the epoch number after the end of a connection that was last used in it, and
// reports whether capabilities became stale. Of all connections that end with one process
// only the first has an effect.
func (e *capabilityEpoch) advance(number int64) (stale bool) {
	known := e.acceptsNDJSON()
	return e.number.CompareAndSwap(number, number+1) && known
}
