package control

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/events"
)

// The results of drains.
const (
	drainRunning  = distributor.DrainRunning
	drainCanceled = "canceled" // the analyzer is ready again, or the process ended first
	// drainSuperseded: another drain of the analyzer began before the end.
	drainSuperseded = "superseded"
)

// The kinds of events, from which drains are restored after a restart.
const (
	drainStarted     = "drain_started"
	drainInterrupted = "drain_interrupted" // the distributor stops
	drainEnded       = "drained"
)

// operationPrefix is the prefix of the ids of drains; a number follows.
const operationPrefix = "drain-"

// The kinds of drains that end with the removal of the analyzer. The successor of a replaced
// analyzer has its id and another URL.
const (
	removal     = "remove"
	replacement = "replace"
)

// DrainStatus is a drain, running or ended.
type DrainStatus struct {
	Operation string    `json:"operation"`
	Analyzer  string    `json:"analyzer"`
	Kind      string    `json:"kind"` // drain, maint or remove
	Started   time.Time `json:"started"`
	Deadline  time.Time `json:"deadline"`
	// Ended is nil while the drain runs.
	Ended  *time.Time `json:"ended,omitempty"`
	Result string     `json:"result"`
	// Proof accounts for the packets that the analyzer held. It is frozen at the end.
	Proof distributor.DrainProof `json:"proof,omitzero"`
	// Restarts counts how often the process ended before the drain did. Proof covers the time since
	// the latest restart. BeforeRestart is the proof at the latest orderly stop: the packets that
	// remained then were delivered during the stop, or routed again from a disk journal.
	Restarts      int                     `json:"restarts,omitempty"`
	BeforeRestart *distributor.DrainProof `json:"before_restart,omitempty"`
}

// maxDrains bounds the drains that are kept.
const maxDrains = 1 << 11

// drains are the drains of a Controller.
type drains struct {
	controller *Controller
	ctx        context.Context // all drains
	stopAll    context.CancelFunc
	running    sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	latest map[string]*drain
	// superseded has the drains that are no longer the latest of their analyzers, the oldest first.
	superseded []*drain
	// leaving has the drains of removals and replacements until the analyzer has left, by its id, the
	// oldest first: an analyzer that is added again has the id of one that still leaves.
	leaving  map[string][]*drain
	last     int64    // number of the latest operation
	resuming []*drain // drains that ran when the previous process ended
}

type drain struct {
	DrainStatus        // Ended, Result and the proof are guarded by drains.mu
	begun       bool   // guarded by drains.mu; false: the change that starts the drain is in progress
	url         string // of the analyzer
	request     Request
	ctx         context.Context
	cancel      context.CancelFunc
}

func newDrains(c *Controller) *drains {
	d := &drains{controller: c, latest: make(map[string]*drain), leaving: make(map[string][]*drain)}
	d.ctx, d.stopAll = context.WithCancel(context.Background())
	return d
}

// expect prepares the drains of the analyzers that changes will remove, with the deadline of the
// request, because the drains may end before follow is called. It returns the id of the first
// drain.
func (d *drains) expect(request Request, changes []Changed) (operation string) {
	expect := func(id, kind string) { operation = cmp.Or(operation, d.expectOne(request, id, kind)) }
	for _, change := range changes {
		of, id, field, _ := split(change.Path)
		switch {
		case of.key != analyzersKey:
		case field == "" && string(change.New) == "null":
			expect(id, removal)
		case field != "" && string(change.Old) != "null" && field != "state" && field != "weight":
			expect(id, replacement)
		}
	}
	return operation
}

func (d *drains) expectOne(request Request, id, kind string) (operation string) {
	one := d.create(request, id, kind)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leaving[id] = append(d.leaving[id], one)
	return one.Operation
}

// forget removes the expected drains of a change that was refused.
func (d *drains) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.expectedLocked() {
		one.cancel()
		d.departLocked(one)
	}
}

// expectedLocked returns the drains that a change in progress will start.
func (d *drains) expectedLocked() (expected []*drain) {
	for _, list := range d.leaving {
		for _, one := range list {
			if !one.begun {
				expected = append(expected, one)
			}
		}
	}
	return expected
}

// departLocked removes a drain whose analyzer has left, or does not leave.
func (d *drains) departLocked(one *drain) {
	list := slices.DeleteFunc(d.leaving[one.Analyzer], func(other *drain) bool { return other == one })
	if d.leaving[one.Analyzer] = list; len(list) == 0 {
		delete(d.leaving, one.Analyzer)
	}
}

// departed removes and returns the drain of an analyzer that has left: the oldest one with its id
// and its URL, or with its id. It returns nil if there is none.
func (d *drains) departed(id, url string) (one *drain) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.leaving[id]
	if len(list) == 0 {
		return nil
	}
	one = list[max(0, slices.IndexFunc(list, func(other *drain) bool { return other.url == url }))]
	d.departLocked(one)
	if !one.begun {
		d.beginLocked(one)
	}
	return one
}

// follow begins the expected drains, starts and cancels the drains of changes of states, and sets
// the deadlines of removals. It returns the id of the first drain that it has started.
func (d *drains) follow(request Request, changes []Changed) (operation string) {
	d.mu.Lock()
	leaving := make(map[string]*drain) // by the analyzer
	for _, one := range d.expectedLocked() {
		d.beginLocked(one)
		leaving[one.Analyzer] = one
	}
	d.mu.Unlock()
	for _, change := range changes {
		of, id, field, _ := split(change.Path)
		if of.key != analyzersKey {
			continue
		}
		switch state := textOf(change.New); {
		case field == "state" && (state == distributor.StateDrain || state == distributor.StateMaint):
			operation = cmp.Or(operation, d.start(request, id, state))
		case field == "state":
			d.cancel(id)
		case leaving[id] != nil && !request.drainDeadline.IsZero():
			_ = d.controller.Distributor().SetDrainDeadline(id, leaving[id].Started, request.drainDeadline) // an analyzer that has left has no deadline
		}
	}
	return operation
}

func textOf(value json.RawMessage) (text string) {
	_ = json.Unmarshal(value, &text) // a value of another type is no state
	return text
}

// start starts a drain.
func (d *drains) start(request Request, id, kind string) (operation string) {
	one := d.create(request, id, kind)
	d.mu.Lock()
	d.beginLocked(one)
	d.mu.Unlock()
	d.running.Go(func() { d.run(one) })
	return one.Operation
}

// create returns a drain with the next number.
func (d *drains) create(request Request, id, kind string) *drain {
	deadline := request.drainDeadline
	if deadline.IsZero() {
		deadline = time.Now().Add(d.controller.Config().Distributor.DrainTimeout)
	}
	url := d.controller.urlOf(id)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	one := &drain{url: url, request: request, DrainStatus: DrainStatus{
		Operation: operationPrefix + strconv.FormatInt(d.last, 10), Analyzer: id, Kind: kind, Started: time.Now().UTC(), Deadline: deadline.UTC(), Result: drainRunning,
	}}
	one.ctx, one.cancel = context.WithCancel(d.ctx)
	return one
}

// beginLocked begins a drain. Its event is added under the lock, so that it comes before that of
// the end, which may follow at once.
func (d *drains) beginLocked(one *drain) {
	d.makeLatestLocked(one)
	d.addEvent(drainStarted, one, one.DrainStatus)
}

// makeLatestLocked makes a drain the latest of its analyzer, in place of the previous one, which
// ends.
func (d *drains) makeLatestLocked(one *drain) {
	one.begun = true
	if before := d.latest[one.Analyzer]; before != nil {
		d.superseded = append(d.superseded, before)
		delete(d.latest, one.Analyzer)
		before.cancel()
	}
	d.evictLocked()
	d.latest[one.Analyzer] = one
}

// evictLocked removes drains that have ended while there are as many as maxDrains: superseded ones
// first.
func (d *drains) evictLocked() {
	full := func() bool { return len(d.latest)+len(d.superseded) >= maxDrains }
	for full() {
		at := slices.IndexFunc(d.superseded, func(one *drain) bool { return one.Ended != nil })
		if at < 0 {
			break
		}
		d.superseded = slices.Delete(d.superseded, at, at+1)
	}
	for id, one := range d.latest {
		if !full() {
			return
		}
		if one.Ended != nil {
			delete(d.latest, id)
		}
	}
}

func (d *drains) run(one *drain) {
	proof, err := d.controller.Distributor().Drain(one.ctx, one.Analyzer, one.Deadline)
	switch {
	case err != nil && d.ctx.Err() != nil:
		d.interrupt(one, proof)
		return
	case err != nil:
		proof.Result = d.canceledResult(one)
	}
	d.end(one, proof)
}

// canceledResult returns the result of a drain that was canceled.
func (d *drains) canceledResult(one *drain) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Contains(d.superseded, one) {
		return drainSuperseded
	}
	return drainCanceled
}

// removed ends the drain of an analyzer that has left.
func (d *drains) removed(id, url string, proof distributor.DrainProof) {
	one := d.departed(id, url)
	if one == nil {
		one = d.create(Request{Actor: system}, id, removal)
		d.mu.Lock()
		d.beginLocked(one)
		d.mu.Unlock()
	}
	d.end(one, proof)
}

// end freezes the proof of a drain.
func (d *drains) end(one *drain, proof distributor.DrainProof) {
	one.cancel()
	now := time.Now().UTC()
	d.mu.Lock()
	status := one.DrainStatus
	d.mu.Unlock()
	status.Ended, status.Proof, status.Result = &now, proof, proof.Result
	d.addEvent(drainEnded, one, status)
	d.mu.Lock()
	one.Ended, one.Proof, one.Result = status.Ended, status.Proof, status.Result // the event is added before the end is visible
	d.mu.Unlock()
	d.controller.deps.Logger.Info("a drain has ended", "analyzer", one.Analyzer, "kind", status.Kind, "result", status.Result,
		"held", proof.Held.Packets, "delivered", proof.Delivered, "rerouted", proof.Rerouted, "unaccounted", proof.Unaccounted)
}

// addEvent adds an event about a drain.
func (d *drains) addEvent(kind string, one *drain, status DrainStatus) {
	d.controller.events.Add(events.Event{
		Kind: kind, Actor: one.request.Actor.Name, Address: one.request.Actor.Address, Path: analyzersPrefix + one.Analyzer,
		New: status.Kind, Reason: one.request.Reason, Result: status.Result, Detail: status,
	})
}

// cancel cancels the drain of an analyzer, if one is running.
func (d *drains) cancel(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if one := d.latest[id]; one != nil {
		one.cancel()
	}
}

func (d *drains) stop() {
	d.stopAll()
	d.running.Wait()
}

// Drains returns the latest drain of each analyzer, and those of analyzers that still leave, the
// latest first.
func (c *Controller) Drains() []DrainStatus {
	d := c.drains
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []DrainStatus{}
	for _, one := range d.latest {
		list = append(list, one.DrainStatus)
	}
	for id, leaving := range d.leaving {
		for _, one := range leaving {
			if one.begun && one != d.latest[id] {
				list = append(list, one.DrainStatus)
			}
		}
	}
	slices.SortFunc(list, func(a, b DrainStatus) int { return b.Started.Compare(a.Started) })
	return list
}

// DrainOf returns the drain with the id of an operation.
func (c *Controller) DrainOf(operation string) (status DrainStatus, ok bool) {
	d := c.drains
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, known := range []iter.Seq[*drain]{maps.Values(d.latest), slices.Values(d.superseded)} {
		for one := range known {
			if one.Operation == operation {
				return one.DrainStatus, true
			}
		}
	}
	return DrainStatus{}, false
}

// Drain returns the latest drain of an analyzer.
func (c *Controller) Drain(id string) (status DrainStatus, ok bool) {
	c.drains.mu.Lock()
	defer c.drains.mu.Unlock()
	if one := c.drains.latest[id]; one != nil {
		return one.DrainStatus, true
	}
	return DrainStatus{}, false
}
