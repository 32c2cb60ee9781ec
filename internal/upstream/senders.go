package upstream

import "sync"

// senders are the senders of one analyzer. Their number may change while they run. It is
// safe for concurrent use.
type senders struct {
	upstream *Upstream

	mu      sync.Mutex // guards the fields below
	all     []*sender  // without those that were retired
	running bool
	stopped bool
}

// set changes the number of senders. A sender that is retired ends after its batch.
func (s *senders) set(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.stopped && len(s.all) < n {
		one := newSender(s.upstream)
		s.all = append(s.all, one)
		if s.running {
			s.upstream.running.Go(one.run)
		}
	}
	for len(s.all) > n {
		last := len(s.all) - 1
		s.upstream.queue.retire(s.all[last].waiter)
		s.all[last] = nil
		s.all = s.all[:last]
	}
}

// start starts the senders, once.
func (s *senders) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.running = true
	for _, one := range s.all {
		s.upstream.running.Go(one.run)
	}
}

// stop makes set start no more senders.
func (s *senders) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}
