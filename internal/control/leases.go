package control

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/datafile"
	"github.com/logstreamer/logstreamer/internal/discovery"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/events"
)

// leasesFile is the name of the file of leases in DATA_DIR, and maxLeasesBytes bounds it.
const (
	leasesFile     = "leases.json"
	maxLeasesBytes = 1 << 20
)

// leaseStore keeps leases over restarts; a leaseStore without a directory keeps nothing.
type leaseStore struct {
	mu  sync.Mutex // serializes writes
	dir string
}

// storedLease is a lease in the file. Renewals are not stored: after a start each lease has its
// whole time again.
type storedLease struct {
	ID          string  `json:"id"`
	Group       string  `json:"group,omitempty"`
	URL         string  `json:"url"`
	Weight      float64 `json:"weight"`
	GroupWeight float64 `json:"group_weight"`
	Owner       string  `json:"owner"`
}

// load returns the leases of the file, or none if there is no file.
func (s *leaseStore) load() (leases []discovery.Lease, err error) {
	text, err := readStored(s.dir, leasesFile, maxLeasesBytes)
	if text == nil || err != nil {
		return nil, err
	}
	var stored []storedLease
	err = json.Unmarshal(text, &stored)
	for _, one := range stored {
		leases = append(leases, discovery.Lease{ID: one.ID, Group: one.Group, URL: one.URL, Weight: one.Weight, GroupWeight: one.GroupWeight, Owner: one.Owner})
	}
	return leases, err
}

// save replaces the file with the result of current.
func (s *leaseStore) save(current func() []discovery.Lease) error {
	if s.dir == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := []storedLease{}
	for _, one := range current() {
		stored = append(stored, storedLease{one.ID, one.Group, one.URL, one.Weight, one.GroupWeight, one.Owner})
	}
	text, err := json.MarshalIndent(stored, "", "  ")
	if err == nil {
		err = datafile.MakeDir(s.dir, 0o750)
	}
	if err != nil {
		return err
	}
	return datafile.Replace(filepath.Join(s.dir, leasesFile), append(text, '\n'), 0o640)
}

// restoreLeases restores the analyzers that had registered before a restart, so that packets do not
// wait for the next renewals. If the file cannot be read, packets wait for the renewals.
func (c *Controller) restoreLeases(d *distributor.Distributor) {
	stored, err := c.leases.load()
	if err != nil {
		c.deps.Logger.Warn("the analyzers that had registered are not known any more: they register again", "error", err)
	}
	if len(stored) > 0 {
		d.RestoreLeases(stored)
	}
}

// Register grants or renews a lease; created reports a new lease. The change is empty if the lease
// was renewed before its expiry.
func (c *Controller) Register(ctx context.Context, actor Actor, lease discovery.Lease) (granted discovery.Lease, change discovery.LeaseChange, err error) {
	if err := c.checkOwner(actor, lease.ID); err != nil {
		return lease, "", err
	}
	lease.Owner = actor.Name
	granted, change, err = c.Distributor().Register(ctx, lease)
	if err != nil {
		return granted, "", leaseRefused(err)
	}
	if change != "" {
		c.leaseChanged(actor, change, granted)
	}
	return granted, change, nil
}

// CheckLease is Register without the change: it returns the lease that would be granted.
func (c *Controller) CheckLease(ctx context.Context, actor Actor, lease discovery.Lease) (discovery.Lease, error) {
	if err := c.checkOwner(actor, lease.ID); err != nil {
		return lease, err
	}
	lease.Owner = actor.Name
	checked, err := c.Distributor().CheckLease(ctx, lease)
	if err != nil {
		return lease, leaseRefused(err)
	}
	return checked, nil
}

func leaseRefused(err error) error {
	var conflict *distributor.LeaseConflictError
	if errors.As(err, &conflict) {
		return &Error{Code: Conflict, Key: conflict.Key, Value: encode(conflict.Value), Detail: conflict.Detail}
	}
	return refused(err)
}

// EndLease ends a lease. The analyzer gets no more packets, and the distributor delivers the
// packets that it holds for the analyzer until the deadline; the remaining packets are cut and
// routed to other analyzers. EndLease returns the id of the drain, which is empty if the analyzer
// got no packets.
func (c *Controller) EndLease(request Request, id string, deadline *time.Duration) (operation string, err error) {
	if err := c.checkOwner(request.Actor, id); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	lease, known := c.lease(id)
	if !known {
		return "", refuse(NotFound, "there is no lease with the id %q", id)
	}
	if request.DryRun {
		return "", nil
	}
	request.drainDeadline = deadlineOf(deadline)
	operation = c.drains.expectOne(request, id, removal)
	leaving, err := c.Distributor().EndLease(id, request.drainDeadline)
	if err != nil {
		c.drains.forget()
		return "", refused(err)
	}
	c.leaseChanged(request.Actor, discovery.Ended, lease)
	if !leaving {
		c.drains.forget()
		return "", nil
	}
	c.drains.follow(request, nil)
	return operation, nil
}

// Leases returns the leases ordered by id.
func (c *Controller) Leases() []discovery.Lease { return c.Distributor().Leases() }

func (c *Controller) lease(id string) (discovery.Lease, bool) {
	for _, one := range c.Leases() {
		if one.ID == id {
			return one, true
		}
	}
	return discovery.Lease{}, false
}

// urlOf returns the URL of an analyzer that is configured or registered, or an empty text.
func (c *Controller) urlOf(id string) string {
	for _, target := range c.Config().Distributor.Targets {
		if target.ID == id {
			return target.URL
		}
	}
	lease, _ := c.lease(id)
	return lease.URL
}

// checkOwner refuses the change of a lease by a caller who is neither its owner nor an operator.
func (c *Controller) checkOwner(actor Actor, id string) error {
	if lease, known := c.lease(id); known && lease.Owner != actor.Name && actor.Role != string(credential.Operate) {
		return refuse(Conflict, "%s was registered by %s", id, lease.Owner)
	}
	return nil
}

// leaseChanged stores the leases and adds an event. A lease that cannot be stored is valid
// nevertheless: after a restart the analyzer registers again.
func (c *Controller) leaseChanged(actor Actor, change discovery.LeaseChange, lease discovery.Lease) {
	if err := c.leases.save(c.Leases); err != nil {
		c.deps.Logger.Warn("the leases cannot be stored: after a restart the analyzers must register again", "error", err)
	}
	c.events.Add(events.Event{Kind: "lease_" + string(change), Actor: actor.Name, Address: actor.Address, Path: analyzersPrefix + lease.ID,
		New: map[string]any{"url": lease.URL, "group": lease.Group, "weight": lease.GroupWeight}, Result: "applied"})
	c.deps.Logger.Info("a lease has changed", "analyzer", lease.ID, "change", change, "url", lease.URL, "group", lease.Group, "actor", actor.Name)
}

// leaseExpired is leaseChanged for changes without a request.
func (c *Controller) leaseExpired(change discovery.LeaseChange, lease discovery.Lease) {
	c.leaseChanged(system, change, lease)
}
