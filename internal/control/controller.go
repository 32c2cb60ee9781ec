package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/autoscale"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/events"
	"github.com/logstreamer/logstreamer/internal/logging"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// maxEvents is the number of events that are kept.
const maxEvents = 10_000

// Dependencies are what a Controller uses.
type Dependencies struct {
	Logger *slog.Logger
	// Log is the log handler whose level and format are settings.
	Log *logging.Handler
	// Prepare prepares changes outside of the distributor, such as credentials; the controller
	// calls either commit or abort. A reload that changes no setting calls it, too, since the
	// content of files that settings name may have changed.
	Prepare func(Config) (commit, abort func(), err error)
	// Share opens the document in which the distributors of a cluster keep the changes of
	// operators; nil, or nil returned: this distributor is alone. Open calls it, and Close closes
	// the document.
	Share func(Config) (Document, error)
	// Actuator changes the number of analyzers, in place of AUTOSCALE_COMMAND; nil: the command
	// does so, with AUTOSCALE=command.
	Actuator autoscale.Actuator
}

// Controller changes a distributor. It may be used concurrently.
type Controller struct {
	loader *config.Loader[Config]
	deps   Dependencies
	store  store
	leases leaseStore
	events *events.Log

	mu       sync.Mutex // serializes changes
	attached atomic.Pointer[distributor.Distributor]
	drains   *drains
	scaling  *autoscaling

	current     atomic.Pointer[published]
	lastReload  atomic.Pointer[ReloadStatus]
	rescheduled worker.Signal          // an override may expire earlier
	stuck       string                 // why expired overrides cannot be reverted; used by Run only
	behind      atomic.Pointer[string] // why the latest shared settings are not applied; nil: they are applied
	unreachable string                 // why the shared settings cannot be reached; guarded by mu
}

// published is a revision and a channel that is closed when there is a newer revision.
type published struct {
	*revision
	replaced chan struct{}
}

// Open reads the sources and the overrides. It changes neither a file nor the shared settings.
// Close closes what Open opened.
func Open(loader *config.Loader[Config], deps Dependencies) (*Controller, error) {
	read, err := loader.Load()
	if err != nil {
		return nil, err
	}
	c := &Controller{loader: loader, deps: deps, events: events.New(maxEvents), rescheduled: worker.NewSignal()}
	c.drains = newDrains(c)
	c.scaling = newAutoscaling(c)
	if read.Config.Admin.Persist {
		c.leases.dir = read.Config.Distributor.DataDir
	}
	if err := c.openStore(read.Config); err != nil {
		return nil, err
	}
	if err := c.open(loaded{read, loader.Settings}); err != nil {
		c.store.close()
		return nil, err
	}
	return c, nil
}

// openStore opens the store of a configuration.
func (c *Controller) openStore(config Config) error {
	file := fileStore{}
	if config.Admin.Persist {
		file.dir = config.Distributor.DataDir
	}
	c.store = file
	if c.deps.Share == nil {
		return nil
	}
	document, err := c.deps.Share(config)
	if document != nil && err == nil {
		c.store = &sharedStore{document: document, copy: file, logger: c.deps.Logger}
	}
	return err
}

// open reads the stored settings, and makes the first revision.
func (c *Controller) open(sources loaded) error {
	content, err := c.store.load()
	if err != nil {
		return err
	}
	if dir := c.dir(); dir != "" {
		if err := c.events.Load(dir); err != nil {
			c.deps.Logger.Warn("events of the time before the start cannot be read", "error", err)
		}
		c.drains.restore(c.events.After(0, maxEvents))
	}
	shared := c.store.status().Shared
	valid, expired := content.Overrides, overrides(nil)
	if !shared { // shared overrides expire for all distributors at once
		valid, expired = content.Overrides.expire(time.Now())
	}
	ids := content.IDs
	if !shared {
		ids = ids.atStart(sources.Config.Distributor.Targets, content.Overrides)
	}
	kept := &revision{ids: ids, origin: origin{shared: shared, cluster: content.Cluster}}
	r, lost := kept.resolveValid(sources, valid)
	changed := content.Hash != "" && content.Hash != r.hash()
	r.number = max(content.Revision, 1)
	switch {
	case shared:
		r.ahead = changed && content.Cluster != ""
		if latest, err := c.store.latest(); err == nil && !r.outranks(latest) && latest.version != 0 {
			if followed, dropped := r.follow(latest); followed.checkTokens(r) == nil { // otherwise Run reports it
				r, lost = followed, dropped
			}
		}
	case c.dir() == "":
		r.number = time.Now().Unix() // Without a store the number must still rise over restarts: there is less than one change per second.
	case changed:
		r.number++
	}
	if err := r.Config.Validate(); err != nil {
		return err
	}
	c.publish(r)
	for _, one := range expired {
		c.events.Add(events.Event{Kind: "expired", Actor: system.Name, Path: one.Path, Old: one.Value, New: r.get(one.Path), Reason: "ttl", Result: "applied"})
	}
	c.reportDropped(lost)
	return nil
}

// dir returns the directory in which changes and events are kept; empty: they are not kept.
func (c *Controller) dir() string {
	switch s := c.store.(type) {
	case *sharedStore:
		return s.copy.dir
	case fileStore:
		return s.dir
	}
	return ""
}

// Attach attaches the distributor, which must not be started yet, in place of the previous one, and
// stores the revision that Open has made.
func (c *Controller) Attach(d *distributor.Distributor, registerer prometheus.Registerer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attached.Store(d)
	d.OnRemoved(c.drains.removed)
	d.OnDiscovery(c.discovered)
	d.OnLease(c.leaseExpired)
	c.restoreLeases(d)
	c.setReloaded(true, "")
	if dir := c.dir(); dir != "" {
		c.events.Keep(dir, c.deps.Logger)
	}
	if err := c.register(registerer); err != nil {
		return err
	}
	if c.store.status().Shared {
		c.startSharingLocked()
		return nil
	}
	if _, err := c.save(context.Background(), c.current.Load().revision); err != nil {
		c.deps.Logger.Warn("the configuration cannot be stored: changes at run time are refused (ADMIN_PERSIST=false makes them without storing them)", "error", err)
	}
	return nil
}

// Config returns the effective configuration.
func (c *Controller) Config() Config { return c.current.Load().Config }

// Loaded returns the effective configuration with its origins.
func (c *Controller) Loaded() *config.Loaded[Config] { return c.current.Load().Loaded }

// Revision returns the number of the current revision.
func (c *Controller) Revision() int64 { return c.current.Load().number }

// Wait returns the current revision when it is newer than that number, or when the context ends.
func (c *Controller) Wait(ctx context.Context, number int64) int64 {
	for {
		current := c.current.Load()
		if current.number > number {
			return current.number
		}
		select {
		case <-current.replaced:
		case <-ctx.Done():
			return current.number
		}
	}
}

// Distributor returns the distributor, nil before Attach.
func (c *Controller) Distributor() *distributor.Distributor { return c.attached.Load() }

// Events returns the events.
func (c *Controller) Events() *events.Log { return c.events }

func (c *Controller) publish(r *revision) {
	before := c.current.Swap(&published{r, make(chan struct{})})
	if before != nil {
		close(before.replaced)
	}
	c.rescheduled.Notify()
}

// Close ends what Open has opened, after Run.
func (c *Controller) Close() { c.store.close() }

// save stores a revision, and returns it as stored.
func (c *Controller) save(ctx context.Context, r *revision) (*revision, error) {
	content := stored{Revision: r.number, Cluster: r.cluster, Hash: r.hash(), IDs: r.ids, Overrides: slices.Clone(r.overrides), Last: r.last, version: r.version}
	for i := range content.Overrides {
		content.Overrides[i].Idle = "" // known to this distributor only
	}
	content, err := c.store.save(ctx, content)
	if err != nil {
		return nil, err
	}
	saved := *r
	saved.version, saved.ahead = content.version, false
	return &saved, nil
}

// edit returns the overrides after a change to those of a revision.
type edit func(*revision) (overrides, error)

// change makes a change as a whole, or not at all.
func (c *Controller) change(ctx context.Context, request Request, kind string, apply edit) (Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retryLocked(ctx, request, func() (Result, error) { return c.changeLocked(ctx, request, kind, apply) })
}

func (c *Controller) changeLocked(ctx context.Context, request Request, kind string, apply edit) (Result, error) {
	if err := errors.Join(request.check(), c.matchLocked(request)); err != nil {
		return Result{}, err
	}
	before := c.current.Load().revision
	wanted, err := apply(before)
	if err != nil {
		return Result{}, err
	}
	after, lost := before.resolve(before.sources, wanted)
	if err := checkReady(before, after); err != nil && !request.Force && len(after.Config.Distributor.Targets) > 0 {
		return Result{}, err
	}
	if err := after.checkTokens(before); err != nil {
		return Result{}, err
	}
	return c.commitLocked(ctx, request, kind, after, lost)
}

// commitLocked makes a revision the current one, unless it is invalid or needs a restart. The order
// is: store, apply, publish.
func (c *Controller) commitLocked(ctx context.Context, request Request, kind string, after *revision, lost []dropped) (Result, error) {
	before := c.current.Load().revision
	changes := diff(before.loaded, after.loaded)
	if err := validate(after, changes); err != nil {
		return Result{}, err
	}
	after.number = before.number
	if len(changes) > 0 || !before.overrides.equal(after.overrides) || !before.ids.equal(after.ids) {
		after.number++
		after.last = &lastChange{Kind: kind, Actor: request.Actor.Name, Address: request.Actor.Address, Reason: request.Reason, Deadline: request.drainDeadline}
		if !request.drainDeadline.IsZero() {
			after.last.Left = time.Until(request.drainDeadline)
		}
	}
	result := Result{Revision: after.number, DryRun: request.DryRun, Changed: changes, Warnings: []string{}}
	c.project(after, &result)
	for _, one := range lost {
		result.Warnings = append(result.Warnings, fmt.Sprintf("the override of %s does not hold any more: %s", one.Path, one.why))
	}
	if request.DryRun {
		result.Revision = before.number
		if err := c.dryRun(kind, after); err != nil {
			return Result{}, err
		}
		return result, nil
	}
	if after.number == before.number && kind != reloaded {
		return result, nil
	}
	operation := c.drains.expect(request, changes)
	if err := c.apply(ctx, kind, before, after); err != nil {
		c.drains.forget()
		return Result{}, err
	}
	result.Operation = cmp.Or(operation, c.drains.follow(request, changes))
	c.report(request, kind, changes)
	c.reportDropped(lost)
	return result, nil
}

// dryRun returns the error that apply would return before its first change.
func (c *Controller) dryRun(kind string, after *revision) error {
	_, abort, err := c.prepare(kind, after)
	if err != nil {
		return refuseInvalid(err)
	}
	abort()
	if err := c.Distributor().CheckConfig(after.Config.Distributor); err != nil {
		return refused(err)
	}
	return nil
}

// prepare prepares the changes outside of the distributor, and at a reload reads the files of
// certificates and tokens. The caller must call either commit or abort.
func (c *Controller) prepare(kind string, after *revision) (commit, abort func(), err error) {
	use := func() {}
	if kind == reloaded {
		paths := append(after.Config.Distributor.CredentialPaths(), after.Config.Admin.credentialPaths()...)
		if use, err = c.Distributor().StageCredentials(paths); err != nil {
			return nil, nil, err
		}
	}
	others, abort, err := c.deps.Prepare(after.Config)
	if err != nil {
		return nil, nil, err
	}
	return func() { others(); use() }, abort, nil
}

// apply stores a revision, applies it and makes it the current one, or does none of these.
func (c *Controller) apply(ctx context.Context, kind string, before, after *revision) error {
	commit, abort, err := c.prepare(kind, after)
	if err != nil {
		return refuseInvalid(err)
	}
	if after.shared {
		if err := c.Distributor().CheckConfig(after.Config.Distributor); err != nil { // stored before other distributors apply it
			abort()
			return refused(err)
		}
	}
	saved := after
	if !after.shared || after.number != before.number { // a part that is not shared is no change for other distributors
		saved, err = c.save(ctx, after)
	}
	if err != nil {
		abort()
		if errors.Is(err, errReplaced) {
			return err
		}
		return refuse(Internal, "the change cannot be stored and is not made: %v", err)
	}
	if err := c.Distributor().Reconfigure(context.WithoutCancel(ctx), after.Config.Distributor); err != nil {
		abort()
		c.undo(ctx, before, saved)
		return refused(err)
	}
	commit()
	c.deps.Log.Configure(after.Config.Log)
	c.publish(saved)
	return nil
}

// undo stores the previous revision in place of one that was stored and could not be applied. If
// other distributors may have applied that one, undo is another change.
func (c *Controller) undo(ctx context.Context, before, stored *revision) {
	again := *before
	if again.shared {
		again.number, again.version, again.last = stored.number+1, stored.version, nil
	}
	saved, err := c.save(ctx, &again)
	if err != nil {
		c.deps.Logger.Error("a change that was refused cannot be removed from the stored configuration: the next start would make it", "error", err)
		return
	}
	if saved.shared {
		c.publish(saved)
	}
}

// refused returns the Error for a configuration that the distributor refused.
func refused(err error) error {
	var restart *distributor.RestartRequiredError
	switch {
	case errors.As(err, &restart):
		return refuse(RestartRequired, "%v", err)
	case errors.Is(err, distributor.ErrStopping):
		return refuse(Stopping, "%v", err)
	}
	return refuseInvalid(err)
}

// validate returns the Error for an invalid revision.
func validate(r *revision, changes []Changed) error {
	if err := r.Config.Validate(); err != nil {
		return refuseInvalid(err)
	}
	return requireRestart(slices.DeleteFunc(slices.Clone(changes), func(change Changed) bool { return change.live }))
}

// requireRestart returns the Error for changes that need a restart, with the first one, or nil if
// there are none.
func requireRestart(changes []Changed) error {
	if len(changes) == 0 {
		return nil
	}
	var all []string
	for _, change := range changes {
		all = append(all, fmt.Sprintf("%s (%s, would be %s)", change.key, change.Old, change.New))
	}
	slices.Sort(all)
	refusal := refuse(RestartRequired, "these settings change only with a restart, and nothing was changed: %s", strings.Join(all, ", "))
	refusal.Key, refusal.Value, refusal.Allowed = changes[0].key, changes[0].New, fmt.Sprintf("%s until a restart", changes[0].Old)
	return refusal
}

// report adds an event for each change, and logs the changes.
func (c *Controller) report(request Request, kind string, changes []Changed) {
	for _, change := range changes {
		c.events.Add(events.Event{
			Kind: kind, Actor: request.Actor.Name, Address: request.Actor.Address, Path: change.Path,
			Old: change.Old, New: change.New, Reason: request.Reason, Result: "applied",
		})
		c.deps.Logger.Info("configuration changed", "kind", kind, "path", change.Path, "old", string(change.Old), "new", string(change.New),
			"actor", request.Actor.Name, "reason", request.Reason)
	}
}

func (c *Controller) reportDropped(lost []dropped) {
	for _, one := range lost {
		c.events.Add(events.Event{Kind: "override_dropped", Actor: system.Name, Path: one.Path, Old: one.Value, Reason: one.why, Result: "applied"})
		c.deps.Logger.Warn("an override does not hold any more: the value of file, environment and flags counts", "path", one.Path, "value", string(one.Value), "cause", one.why)
	}
}
