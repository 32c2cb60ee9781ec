package discovery

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/worker"
)

// Change is what a Watcher has found out about a group.
type Change struct {
	Group Group
	// Members are the new members; nil if they are the same and Err or Beyond has changed.
	Members []Member
	// Beyond is how many the group has besides, which are too many and not used.
	Beyond int
	// Err is why the group, or one family of its addresses, cannot be resolved now, nil if it can.
	Err error
}

// outcome is the outcome of the last query for a group.
type outcome int

const (
	complete outcome = iota
	incomplete
	failed
)

// outcomeOf returns the outcome and why it is not complete.
func outcomeOf(response Response, err error) (outcome, error) {
	switch {
	case err != nil:
		return failed, err
	case response.Incomplete != nil:
		return incomplete, response.Incomplete
	}
	return complete, nil
}

// Watcher queries the members of groups, and again when the response has expired. What it
// found stays when a group cannot be resolved, or has no members, any more. It may be used
// concurrently.
type Watcher struct {
	resolver *Resolver
	onChange func(Change)
	counts   [failed + 1]atomic.Uint64 // queries by outcome

	mu     sync.Mutex // guards groups
	groups map[Group]*watched
	ends   sync.WaitGroup
}

// watched is a group that a goroutine queries.
type watched struct {
	members []Member // the last good response
	beyond  int      // of that
	last    outcome
	stop    context.CancelFunc
	refresh worker.Signal // a value makes the goroutine query at once
}

func newWatched() *watched { return &watched{refresh: worker.NewSignal()} }

// NewWatcher returns a Watcher that calls onChange with each change, from one goroutine a
// group.
func NewWatcher(resolver *Resolver, onChange func(Change)) *Watcher {
	return &Watcher{resolver: resolver, onChange: onChange, groups: make(map[Group]*watched)}
}

// Members returns the last good response for a group, which the caller must not change.
func (w *Watcher) Members(g Group) []Member {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.groups[g]; one != nil {
		return one.members
	}
	return nil
}

// Resolve queries groups that are not known yet and waits for the responses until ctx ends. Watch
// repeats the queries without a response. It does not call onChange.
func (w *Watcher) Resolve(ctx context.Context, groups []Group) {
	var asked sync.WaitGroup
	for _, g := range groups {
		if w.Members(g) != nil {
			continue
		}
		asked.Go(func() {
			response, err := w.resolve(ctx, g)
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.groups[g] == nil {
				w.groups[g] = newWatched()
			}
			if err == nil && w.groups[g].members == nil {
				w.groups[g].members = response.Members
			}
		})
	}
	asked.Wait()
}

// Watch queries these groups from now on, and no others, until ctx ends.
func (w *Watcher) Watch(ctx context.Context, groups []Group) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for g, one := range w.groups {
		if !slices.Contains(groups, g) {
			if one.stop != nil {
				one.stop()
			}
			delete(w.groups, g)
		}
	}
	for _, g := range groups {
		one := w.groups[g]
		if one == nil {
			one = newWatched()
			w.groups[g] = one
		}
		if one.stop == nil {
			watching, stop := context.WithCancel(ctx)
			one.stop = stop
			w.ends.Go(func() { w.watch(watching, g, one) })
		}
	}
}

// Failures returns how many queries had no response, and how many had one for one family of
// addresses alone.
func (w *Watcher) Failures() (none, partial uint64) {
	return w.counts[failed].Load(), w.counts[incomplete].Load()
}

// resolve queries a group and counts the outcome.
func (w *Watcher) resolve(ctx context.Context, g Group) (Response, error) {
	response, err := w.resolver.Resolve(ctx, g, w.Members(g))
	of, _ := outcomeOf(response, err)
	w.counts[of].Add(1)
	return response, err
}

// Refresh queries all groups at once.
func (w *Watcher) Refresh() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.groups {
		one.refresh.Notify()
	}
}

// Wait returns when all queries have ended, after the ends of their contexts.
func (w *Watcher) Wait() { w.ends.Wait() }

func (w *Watcher) watch(ctx context.Context, g Group, one *watched) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-one.refresh:
		case <-timer.C:
		}
		response, err := w.resolve(ctx, g)
		if ctx.Err() != nil {
			return
		}
		if change, changed := w.update(g, one, response, err); changed {
			w.onChange(change)
		}
		timer.Reset(max(response.TTL, minTTL))
	}
}

// update notes a response and reports whether that changes anything.
func (w *Watcher) update(g Group, one *watched, response Response, err error) (change Change, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, reason := outcomeOf(response, err)
	change = Change{Group: g, Err: reason}
	changed = one.last != last
	one.last = last
	if last == failed {
		return change, changed
	}
	changed = changed || one.beyond != response.Beyond
	one.beyond, change.Beyond = response.Beyond, response.Beyond
	if !slices.Equal(response.Members, one.members) {
		one.members, change.Members, changed = response.Members, response.Members, true
	}
	return change, changed
}
