package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/events"
)

// The results of drains.
const (
	drainRunning   = "running"
	drainDone      = "drained"
	drainCancelled = "cancelled" // the analyzer is ready again, or the distributor stops
)

// removal is the kind of a drain that ends with the removal of the analyzer.
const removal = "remove"

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
	Proof distributor.DrainProof `json:"proof"`
}

// maxDrains bounds the drains that are kept: the latest of each analyzer.
const maxDrains = 1 << 11

// drains are the drains of a Controller.
type drains struct {
	controller *Controller
	ctx        context.Context // of all
	stopAll    context.CancelFunc
	running    sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	latest map[string]*drain
	last   int64 // number of the latest operation
}

type drain struct {
	DrainStatus
	cancel context.CancelFunc
}

func newDrains(c *Controller) *drains {
	d := &drains{controller: c, latest: make(map[string]*drain)}
	d.ctx, d.stopAll = context.WithCancel(context.Background())
	return d
}

// follow starts and cancels drains after changes of states. It returns the id of the first
// that it has started.
func (d *drains) follow(request Request, changes []Changed) (operation string) {
	for _, change := range changes {
		of, id, field, _ := split(change.Path)
		if of.key != analyzersKey {
			continue
		}
		switch state := textOf(change.New); {
		case field == "" && string(change.New) == "null":
			operation = cmp.Or(operation, d.start(request, id, removal))
		case field == "state" && (state == stateDrain || state == stateMaint):
			operation = cmp.Or(operation, d.start(request, id, state))
		case field == "state":
			d.cancel(id)
		}
	}
	return operation
}

func textOf(value json.RawMessage) (text string) {
	_ = json.Unmarshal(value, &text) // another type is no state
	return text
}

// start starts a drain and cancels an earlier one of the analyzer.
func (d *drains) start(request Request, id, kind string) (operation string) {
	d.cancel(id)
	deadline := request.drainDeadline
	if deadline.IsZero() {
		deadline = time.Now().Add(defaultDeadline)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	ctx, cancel := context.WithCancel(d.ctx)
	one := &drain{cancel: cancel, DrainStatus: DrainStatus{
		Operation: fmt.Sprintf("drain-%d", d.last), Analyzer: id, Kind: kind, Started: time.Now().UTC(), Deadline: deadline.UTC(), Result: drainRunning,
	}}
	d.forgetLocked()
	d.latest[id] = one
	d.running.Go(func() { d.run(ctx, request, one) })
	return one.Operation
}

// forgetLocked makes room for one more.
func (d *drains) forgetLocked() {
	for id, one := range d.latest {
		if len(d.latest) < maxDrains {
			return
		}
		if one.Ended != nil {
			delete(d.latest, id)
		}
	}
}

func (d *drains) run(ctx context.Context, request Request, one *drain) {
	defer one.cancel()
	c := d.controller
	proof, err := c.distributor.Drain(ctx, one.Analyzer, one.Deadline)
	now := time.Now().UTC()
	d.mu.Lock()
	one.Ended, one.Proof, one.Result = &now, proof, drainDone
	if err != nil {
		one.Result = drainCancelled
	}
	status := one.DrainStatus
	d.mu.Unlock()
	c.events.Add(events.Event{
		Kind: "drained", Actor: request.Actor.Name, Address: request.Actor.Address, Path: analyzersPrefix + one.Analyzer,
		New: status.Kind, Reason: request.Reason, Result: status.Result, Detail: status,
	})
	c.deps.Logger.Info("a drain has ended", "analyzer", one.Analyzer, "kind", status.Kind, "result", status.Result,
		"held", proof.Held.Packets, "delivered", proof.Delivered, "rerouted", proof.Rerouted, "unaccounted", proof.Unaccounted)
}

// cancel ends the drain of an analyzer, if one is running.
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

// Drains returns the latest drain of each analyzer, the latest first.
func (c *Controller) Drains() []DrainStatus {
	d := c.drains
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []DrainStatus{}
	for _, one := range d.latest {
		list = append(list, one.DrainStatus)
	}
	slices.SortFunc(list, func(a, b DrainStatus) int { return b.Started.Compare(a.Started) })
	return list
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
