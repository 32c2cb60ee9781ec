package discovery

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Change is what a Watcher has found out about a group.
type Change struct {
	Group Group
	// Members are the new members; nil if they are the same and Err has changed.
	Members []Member
	// Err is why the group cannot be resolved now, nil if it can.
	Err error
}

// Watcher asks for the members of groups, and again when the answer has expired. What it
// found stays when a group cannot be resolved, or has no members, any more. It may be used
// concurrently.
type Watcher struct {
	resolver *Resolver
	onChange func(Change)

	mu     sync.Mutex // guards groups
	groups map[Group]*watched
	ends   sync.WaitGroup
}

// watched is a group that a goroutine asks for.
type watched struct {
	members []Member // the last good answer
	failing bool
	stop    context.CancelFunc
	refresh chan struct{} // a value asks at once
}

func newWatched() *watched { return &watched{refresh: make(chan struct{}, 1)} }

// NewWatcher returns a Watcher that calls onChange with each change, from one goroutine a
// group.
func NewWatcher(resolver *Resolver, onChange func(Change)) *Watcher {
	return &Watcher{resolver: resolver, onChange: onChange, groups: make(map[Group]*watched)}
}

// Members returns the last good answer for a group, which the caller must not change.
func (w *Watcher) Members(g Group) []Member {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.groups[g]; one != nil {
		return one.members
	}
	return nil
}

// Resolve asks for groups that are not known yet and waits for the answers until ctx ends.
// Those that have no answer are asked for by Watch. It does not call onChange.
func (w *Watcher) Resolve(ctx context.Context, groups []Group) {
	var asked sync.WaitGroup
	for _, g := range groups {
		if w.Members(g) != nil {
			continue
		}
		asked.Go(func() {
			members, _, err := w.resolver.Resolve(ctx, g)
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.groups[g] == nil {
				w.groups[g] = newWatched()
			}
			if err == nil && w.groups[g].members == nil {
				w.groups[g].members = members
			}
		})
	}
	asked.Wait()
}

// Watch asks for these groups from now on, and for no others, until ctx ends.
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

// Refresh asks for all groups at once.
func (w *Watcher) Refresh() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.groups {
		select {
		case one.refresh <- struct{}{}:
		default:
		}
	}
}

// Wait returns when nothing is asked for any more, after the ends of contexts.
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
		members, ttl, err := w.resolver.Resolve(ctx, g)
		if ctx.Err() != nil {
			return
		}
		if change, changed := w.update(g, one, members, err); changed {
			w.onChange(change)
		}
		timer.Reset(max(ttl, minTTL))
	}
}

// update notes an answer and reports whether that changes anything.
func (w *Watcher) update(g Group, one *watched, members []Member, err error) (change Change, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change = Change{Group: g, Err: err}
	changed = one.failing != (err != nil)
	one.failing = err != nil
	if err == nil && !slices.Equal(members, one.members) {
		one.members, change.Members, changed = members, members, true
	}
	return change, changed
}
