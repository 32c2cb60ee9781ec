package upstream

import "sync/atomic"

// incarnation numbers the processes that answer at an analyzer's address. What one of
// them advertises need not hold for the next, which the end of a connection may be the
// only sign of. It may be used concurrently.
type capabilityEpoch struct {
	number  atomic.Int64 // goes up when another one may have come
	ndjson  atomic.Int64 // of the last one known to take NDJSON; 0 is none
	reprobe func()       // has the analyzer asked what it takes, soon
}

// init begins with one of which nothing is known.
func (i *capabilityEpoch) init(ask func()) {
	i.number.Store(1)
	i.reprobe = ask
}

func (i *capabilityEpoch) acceptsNDJSON() bool { return i.ndjson.Load() == i.number.Load() }

// outdated tells that one took NDJSON, and another one may have come.
func (i *capabilityEpoch) stale() bool {
	lines := i.ndjson.Load()
	return lines != 0 && lines != i.number.Load()
}

// learn notes what the analyzer advertised, when it had a number or later.
func (i *capabilityEpoch) learn(number int64, acceptsNDJSON bool) {
	if !acceptsNDJSON {
		number = 0
	}
	i.ndjson.Store(number)
}

// end notes that a connection ended that was good when the analyzer had a number. Of
// all that end with one process the first is news.
func (i *capabilityEpoch) advance(number int64) {
	known := i.acceptsNDJSON()
	if i.number.CompareAndSwap(number, number+1) && known {
		i.reprobe()
	}
}
