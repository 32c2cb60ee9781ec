package distributor

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/discovery"
	"github.com/logstreamer/logstreamer/internal/metric"
)

const (
	// maxLeases bounds the number of analyzers that register themselves.
	maxLeases = 256
	// leaseGrace is the multiple of LEASE_TTL_SEC for which a healthy analyzer stays after its
	// lease has lapsed, and leaseCheck the interval of checks of its health.
	leaseGrace = 10
	leaseCheck = 500 * time.Millisecond
	// registerTimeout bounds the wait for the first probe of an analyzer that registers: until the
	// probe succeeds, its group lacks the share of the member.
	registerTimeout = 250 * time.Millisecond
)

// Register grants or renews the lease of an analyzer for LEASE_TTL_SEC, and returns it with the
// changes; there are none if the lease is renewed before its expiry. The error is a
// *config.ValueError or a *LeaseConflictError, or ErrStopping. It may be called concurrently.
func (d *Distributor) Register(ctx context.Context, lease discovery.Lease) (discovery.Lease, discovery.LeaseChange, error) {
	lease.Expires = time.Now().Add(d.Config().LeaseTTL)
	if a, present := d.find(lease.ID); present && a.registered {
		if renewed, ok := d.leases.Renew(lease); ok {
			return renewed, "", nil
		}
	}
	if err := d.validateLease(ctx, lease); err != nil {
		return lease, "", err
	}
	d.configMu.Lock()
	defer d.configMu.Unlock()
	if d.stopped {
		return lease, "", ErrStopping
	}
	if err := d.checkLease(lease); err != nil {
		return lease, "", err
	}
	before, known := d.leases.Get(lease.ID)
	replaced := d.leases.All() // leases that the new one replaces
	replaced = slices.DeleteFunc(replaced, func(one discovery.Lease) bool { return one.ID == lease.ID || placeOf(one.URL) != placeOf(lease.URL) })
	for _, one := range replaced {
		d.leases.Remove(one.ID)
	}
	change := d.leases.Put(lease)
	lease, _ = d.leases.Get(lease.ID)
	if change == "" || change == discovery.Recovered {
		return lease, change, nil
	}
	if _, err := d.replan(registerTimeout); err != nil { // a missing certificate, for example
		if d.leases.Remove(lease.ID); known {
			d.leases.Put(before)
		}
		return lease, "", err
	}
	for _, one := range replaced {
		d.reportLease(discovery.Lost, one)
	}
	return lease, change, nil
}

// CheckLease is Register without the change: it returns the lease that would be granted, or the
// error. It may be called concurrently.
func (d *Distributor) CheckLease(ctx context.Context, lease discovery.Lease) (discovery.Lease, error) {
	if err := d.validateLease(ctx, lease); err != nil {
		return lease, err
	}
	d.configMu.Lock()
	defer d.configMu.Unlock()
	if d.stopped {
		return lease, ErrStopping
	}
	lease.Expires, lease.GroupWeight = time.Now().Add(d.Config().LeaseTTL), lease.Weight
	return lease, d.checkLease(lease)
}

// EndLease ends the lease of an analyzer, which delivers the packets that it holds until the
// deadline, if there is one, or for DRAIN_TIMEOUT_SEC. It reports whether the analyzer has begun to
// leave. It may be called concurrently.
func (d *Distributor) EndLease(id string, deadline time.Time) (leaving bool, err error) {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	if d.stopped {
		return false, ErrStopping
	}
	_, present := d.find(id)
	before := time.Now()
	d.leases.Remove(id)
	if _, err := d.replan(0); err != nil {
		return false, err
	}
	if _, stays := d.find(id); !present || stays {
		return false, nil
	}
	if !deadline.IsZero() {
		_ = d.SetDrainDeadline(id, before, deadline) // fails if the analyzer has left already
	}
	return true, nil
}

// Leases returns the leases ordered by id. It may be called concurrently.
func (d *Distributor) Leases() []discovery.Lease { return d.leases.All() }

// RestoreLeases grants leases that an earlier process granted. It must be called before Start.
func (d *Distributor) RestoreLeases(leases []discovery.Lease) {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	for _, one := range leases[:min(len(leases), maxLeases)] {
		if err := d.checkLease(one); err != nil {
			d.logger.Warn("an analyzer that had registered is not brought back", "analyzer", one.ID, "error", err)
			continue
		}
		one.Expires, one.Lapsed = time.Now().Add(d.Config().LeaseTTL), false
		d.leases.Restore(one)
	}
	change, err := d.plan(d.Config())
	if err != nil {
		d.logger.Error("the analyzers that had registered cannot be brought back", "error", err)
		return
	}
	d.apply(d.Config(), change)
}

// OnLease sets the function that is called with each lease that lapses or is lost. It must be
// called before Start. The function must not call Stop.
func (d *Distributor) OnLease(f func(discovery.LeaseChange, discovery.Lease)) { d.onLease = f }

func (d *Distributor) reportLease(change discovery.LeaseChange, lease discovery.Lease) {
	if d.onLease != nil {
		d.onLease(change, lease)
	}
}

// runLeases ends the lost leases, until ctx ends.
func (d *Distributor) runLeases(ctx context.Context) {
	d.leases.Run(ctx, leaseCheck, d.keepsLease, func(change discovery.LeaseChange, lease discovery.Lease) {
		if change == discovery.Lost {
			d.removeLost(lease)
		}
		d.logger.Warn("the lease of an analyzer was not renewed", "analyzer", lease.ID, "url", lease.URL, "change", change)
		d.reportLease(change, lease)
	})
}

// removeLost removes the analyzer of a lost lease.
func (d *Distributor) removeLost(lease discovery.Lease) {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	if d.stopped {
		return
	}
	if _, err := d.replan(0); err != nil {
		d.logger.Error("an analyzer whose lease is lost stays", "analyzer", lease.ID, "error", err)
	}
}

// keepsLease reports whether an analyzer whose lease has lapsed stays: a healthy analyzer stays for
// leaseGrace, and the only analyzer that packets can be routed to stays without a limit.
func (d *Distributor) keepsLease(lease discovery.Lease) bool {
	a, present := d.find(lease.ID)
	if !present || !a.Healthy() {
		return false
	}
	others := slices.ContainsFunc(d.present(), func(other running) bool { return other.ID() != lease.ID && other.eligible() })
	return !others || time.Since(lease.Expires) < leaseGrace*d.Config().LeaseTTL
}

// WithRegistered returns the analyzers and groups of a configuration together with the registered
// ones: each registered analyzer without a group, and each group that is not configured. It may be
// called concurrently.
func (d *Distributor) WithRegistered(targets Targets) Targets {
	all := slices.Clone(targets)
	configured := func(group string) bool {
		return slices.ContainsFunc(targets, func(t Target) bool { return t.leasedGroup() == group })
	}
	seen := make(map[string]bool)
	for _, one := range d.leases.All() {
		switch {
		case one.Group == "":
			all = append(all, Target{ID: one.ID, URL: one.URL, Weight: one.GroupWeight, State: StateReady})
		case !configured(one.Group) && !seen[one.Group]:
			seen[one.Group] = true
			all = append(all, Target{ID: one.Group, URL: string(discovery.Leased) + "+http://" + one.Group, Weight: one.GroupWeight, State: StateReady})
		}
	}
	return all
}

// leasedGroup returns the name of the group that the target is if its members register
// themselves, or "".
func (t Target) leasedGroup() string {
	if g, isGroup, err := t.group(); isGroup && err == nil && g.Kind == discovery.Leased {
		return g.Name
	}
	return ""
}

// registerLeases registers the metrics of leases.
func (d *Distributor) registerLeases() error {
	r := metric.On(d.registry)
	for state, lapsed := range map[string]bool{"active": false, "lapsed": true} {
		r.GaugeFunc("distributor_leases", "Leases of analyzers that registered themselves, by state.", prometheus.Labels{"state": state}, func() (count float64) {
			for _, one := range d.leases.All() {
				if one.Lapsed == lapsed {
					count++
				}
			}
			return count
		})
	}
	return r.Err()
}
