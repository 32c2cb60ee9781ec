package control

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/events"
)

// adopted is the kind of an event for several changes by other distributors that are applied as
// one.
const adopted = "adopted"

// maxRetries bounds the attempts of a change when other distributors make changes in between.
const maxRetries = 10

// Store reports where changes are kept, and whether all distributors share them.
func (c *Controller) Store() StoreStatus {
	status := c.store.status()
	if why := c.behind.Load(); why != nil && status.Synchronized {
		status.Synchronized, status.Detail = false, *why
	}
	return status
}

// outranks reports whether a revision replaces the shared settings because they are older, as after
// the loss of the servers' disks. Settings of another cluster count as older only if this process
// has seen other settings in their place.
func (r *revision) outranks(content stored) bool {
	return content.version != 0 && content.Revision < r.number && (r.version != 0 || content.Cluster == r.cluster)
}

// follow returns the revision that shared settings make of one.
func (r *revision) follow(content stored) (*revision, []dropped) {
	known := *r
	known.ids = make(identities)
	for _, of := range []identities{r.ids, content.IDs} { // the settings of the cluster win
		for url, id := range of {
			known.ids[url] = id
		}
	}
	after, lost := known.resolveValid(r.sources, content.Overrides.seenBy(r))
	after.number, after.last = content.Revision, content.Last
	after.ahead = len(lost) > 0 || r.ahead && content.Revision == r.number && content.Cluster == r.cluster
	after.cluster, after.version = content.Cluster, content.version
	return after, lost
}

// matchLocked returns a refusal if a change is meant for another revision.
func (c *Controller) matchLocked(request Request) error {
	if current := c.Revision(); request.IfMatch != 0 && request.IfMatch != current {
		return stale(current, request.IfMatch)
	}
	return nil
}

// retryLocked makes a change. If another distributor has changed the settings meanwhile, it makes
// the change again, unless the change is meant for one revision.
func (c *Controller) retryLocked(ctx context.Context, request Request, change func() (Result, error)) (Result, error) {
	if request.IfMatch > c.Revision() && c.store.status().Shared { // the refusal may be from another distributor
		if err := errors.Join(c.store.refresh(ctx), c.adoptLocked(ctx)); err != nil {
			return Result{}, refuse(Internal, "the shared settings are not known now: %v", err)
		}
	}
	for range maxRetries {
		result, err := change()
		if !errors.Is(err, errReplaced) {
			return result, err
		}
		if err := c.adoptLocked(ctx); err != nil {
			return Result{}, refuse(Internal, "the change is not made, as one by another distributor cannot be applied: %v", err)
		}
		if err := c.restoreLocked(ctx); err != nil {
			return Result{}, refuse(Internal, "the change is not made, as the shared settings are gone and cannot be stored again: %v", err)
		}
	}
	return Result{}, refuse(Internal, "the change is not made: other distributors changed the settings %d times meanwhile", maxRetries)
}

// restoreLocked stores the settings again if they were deleted.
func (c *Controller) restoreLocked(ctx context.Context) error {
	latest, err := c.store.latest()
	if err == nil && latest.version == 0 {
		err = c.shareLocked(ctx)
	}
	if errors.Is(err, errReplaced) { // another distributor has stored a change first
		return nil
	}
	return err
}

// startSharingLocked stores the changes of the first revision, and the copy.
func (c *Controller) startSharingLocked() {
	if err := c.shareLocked(context.Background()); err != nil && !errors.Is(err, errReplaced) { // Run applies what replaced it
		c.reportReachableLocked(err)
	}
}

// shareLocked stores the current revision if the shared settings lack its changes.
func (c *Controller) shareLocked(ctx context.Context) error {
	latest, err := c.store.latest()
	if err != nil {
		return err
	}
	r := *c.current.Load().revision
	if latest.version == r.version && latest.version != 0 && !r.ahead {
		_, err := c.save(ctx, &r) // the copy
		return err
	}
	if latest.version != 0 && latest.version != r.version && !r.outranks(latest) {
		return errReplaced
	}
	if r.cluster == "" {
		var id [8]byte
		_, _ = rand.Read(id[:]) // never fails
		r.cluster = hex.EncodeToString(id[:])
	}
	r.number, r.version = max(r.number, latest.Revision+1), latest.version
	saved, err := c.save(ctx, &r)
	if err != nil {
		return err
	}
	c.publish(saved)
	return nil
}

// synchronizeRetry is the time between two attempts to apply shared settings.
const synchronizeRetry = time.Second

// synchronize applies the changes of other distributors, and stores the changes that they lack. It
// returns the time of the next attempt.
func (c *Controller) synchronize(ctx context.Context) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	status := c.store.status()
	if !status.Synchronized {
		c.reportReachableLocked(errors.New(status.Detail))
		return maxTTL
	}
	c.reportReachableLocked(nil)
	err := c.adoptLocked(ctx)
	if err == nil {
		err = c.shareLocked(ctx)
	}
	if err != nil {
		return synchronizeRetry
	}
	return maxTTL
}

// adoptLocked applies the latest shared settings.
func (c *Controller) adoptLocked(ctx context.Context) error {
	latest, err := c.store.latest()
	before := c.current.Load().revision
	if err != nil || latest.version == 0 || latest.version == before.version || before.outranks(latest) {
		return err
	}
	err = c.applySharedLocked(ctx, before, latest)
	c.reportBehindLocked(err, latest.Revision)
	return err
}

func (c *Controller) applySharedLocked(ctx context.Context, before *revision, latest stored) error {
	after, lost := before.follow(latest)
	request, kind := Request{Actor: system, Reason: "several changes by other distributors"}, adopted
	if last := latest.Last; last != nil && latest.Revision == before.number+1 {
		request = Request{Actor: Actor{Name: last.Actor, Address: last.Address}, Reason: last.Reason, drainDeadline: last.deadline()}
		kind = last.Kind
	}
	changes := diff(before.loaded, after.loaded)
	if err := errors.Join(validate(after, changes), after.checkTokens(before)); err != nil {
		return err
	}
	c.drains.expect(request, changes)
	if err := c.applyAdopted(ctx, after); err != nil {
		c.drains.forget()
		return err
	}
	c.drains.follow(request, changes)
	c.report(request, kind, changes)
	c.reportDropped(lost)
	c.reportIdle(before, after)
	return nil
}

// applyAdopted applies a revision that another distributor has stored.
func (c *Controller) applyAdopted(ctx context.Context, after *revision) error {
	commit, abort, err := c.prepare(adopted, after)
	if err != nil {
		return err
	}
	if err := c.Distributor().Reconfigure(context.WithoutCancel(ctx), after.Config.Distributor); err != nil {
		abort()
		return err
	}
	commit()
	c.deps.Log.Configure(after.Config.Log)
	if !after.ahead {
		_, _ = c.save(ctx, after) // the copy is stored before the revision is visible; a newer text is adopted next
	}
	c.publish(after)
	return nil
}

// reportBehindLocked reports that shared settings cannot be applied, or that they are applied
// again.
func (c *Controller) reportBehindLocked(err error, revision int64) {
	var why *string
	if err != nil {
		why = new(fmt.Sprintf("revision %d of the shared settings cannot be applied here: %v", revision, err))
	}
	before := c.behind.Swap(why)
	switch {
	case why != nil && (before == nil || *before != *why):
		c.deps.Logger.Error("shared settings cannot be applied", "revision", revision, "error", err, "retry", synchronizeRetry)
		c.events.Add(events.Event{Kind: "settings_refused", Actor: system.Name, Reason: *why, Result: "refused"})
	case why == nil && before != nil:
		c.deps.Logger.Info("shared settings are applied", "revision", revision)
		c.events.Add(events.Event{Kind: "settings_synchronized", Actor: system.Name, Result: "applied"})
	}
}

// reportReachableLocked reports that the shared settings cannot be reached, or that they can be
// reached again.
func (c *Controller) reportReachableLocked(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if (text == "") == (c.unreachable == "") {
		return
	}
	c.unreachable = text
	if err != nil {
		c.deps.Logger.Warn("the shared settings cannot be reached: the last ones hold on, and changes are refused", "revision", c.Revision(), "error", err)
		c.events.Add(events.Event{Kind: "settings_unreachable", Actor: system.Name, Reason: text, Result: "kept"})
		return
	}
	c.deps.Logger.Info("the shared settings can be reached again")
	c.events.Add(events.Event{Kind: "settings_reachable", Actor: system.Name, Result: "applied"})
}

// reportIdle reports the overrides that have no effect at this distributor, once each.
func (c *Controller) reportIdle(before, after *revision) {
	for _, one := range after.overrides {
		was := slices.ContainsFunc(before.overrides, func(other Override) bool {
			return other.Path == one.Path && other.Time.Equal(one.Time) && other.Idle == one.Idle
		})
		if one.Idle != "" && !was {
			c.events.Add(events.Event{Kind: "override_idle", Actor: one.Actor, Path: one.Path, New: one.Value, Reason: one.Idle, Result: "kept"})
			c.deps.Logger.Warn("a shared override has no effect at this distributor", "path", one.Path, "value", string(one.Value), "cause", one.Idle)
		}
	}
}
