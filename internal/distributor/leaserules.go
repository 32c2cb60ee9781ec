package distributor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/discovery"
	"github.com/logstreamer/logstreamer/internal/sink"
)

const (
	// maxLeaseWeight bounds the weight of an analyzer that registers itself, and maxLeaseURL the
	// length of its URL.
	maxLeaseWeight = 1000
	maxLeaseURL    = 1024
	// lookupTimeout bounds the look-up of a host name that may be the name of this machine.
	lookupTimeout = time.Second
)

// LeaseConflictError is the refusal of a lease because of another analyzer.
type LeaseConflictError struct{ Key, Value, Detail string }

// Error returns a text that names the analyzer.
func (e *LeaseConflictError) Error() string { return e.Detail }

// validateLease refuses values that no registered analyzer may have.
func (d *Distributor) validateLease(ctx context.Context, lease discovery.Lease) error {
	switch {
	case !discovery.IsID(lease.ID):
		return config.Refuse("id", lease.ID, discovery.IDForm, "the id %q is not allowed", lease.ID)
	case lease.Group == lease.ID:
		return config.Refuse("group", lease.Group, "another name than the id", "the group is %q, as the id: it must have another name", lease.Group)
	case lease.Group != "" && !discovery.IsGroupName(lease.Group):
		return config.Refuse("group", lease.Group, discovery.GroupForm, "the group %q is not allowed", lease.Group)
	case !(lease.Weight > 0 && lease.Weight <= maxLeaseWeight):
		allowed := fmt.Sprintf("a number above 0 and at most %d", maxLeaseWeight)
		return config.Refuse("weight", lease.Weight, allowed, "weight is %g: it must be %s", lease.Weight, allowed)
	}
	return d.validateLeaseURL(ctx, lease)
}

// validateLeaseURL refuses a URL that is not valid for an analyzer, and the URL of this
// distributor, which would send to itself. The error does not show a password.
func (d *Distributor) validateLeaseURL(ctx context.Context, lease discovery.Lease) error {
	schemes, shown := d.leaseSchemes(lease.Group), sink.WithoutUser(lease.URL)
	allowed := fmt.Sprintf("a URL such as %s://host:port, without user, password, query and fragment", schemes[0])
	endpoint, err := sink.ParseURL(lease.URL)
	if err != nil || len(lease.URL) > maxLeaseURL {
		return config.Refuse("url", shown, allowed, "the URL must be %s", allowed)
	}
	scheme, _, _ := strings.Cut(strings.ToLower(lease.URL), "://")
	base := endpoint.Base
	switch {
	case !slices.Contains(schemes, scheme):
		return config.Refuse("url", shown, allowed, "the scheme of the URL is %q: it must be %s", scheme, strings.Join(schemes, " or "))
	case strings.ContainsAny(lease.URL, "?#") || base.Hostname() == "":
		return config.Refuse("url", shown, allowed, "the URL must be %s", allowed)
	case d.isOwn(ctx, base):
		return config.Refuse("url", shown, "the URL of an analyzer", "%s is this distributor: an analyzer is needed", shown)
	}
	return nil
}

// leaseSchemes returns the schemes that members of a group may have: the scheme of the group if it
// is configured, since its options are those of one kind of backend.
func (d *Distributor) leaseSchemes(group string) []string {
	for _, t := range d.Config().Targets {
		if group != "" && t.leasedGroup() == group {
			_, rest, _ := discovery.Cut(t.URL)
			scheme, _, _ := strings.Cut(strings.ToLower(rest), "://")
			return []string{scheme}
		}
	}
	return []string{"http", "https"}
}

// isOwn reports whether a URL is that of a port of this distributor.
func (d *Distributor) isOwn(ctx context.Context, base *url.URL) bool {
	host, port, err := net.SplitHostPort(sink.HostPort(base))
	if err != nil || !slices.Contains(d.ownPorts(), port) {
		return false
	}
	if name, err := os.Hostname(); err == nil && strings.EqualFold(name, host) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false // probes of the analyzer fail, too
	}
	return slices.ContainsFunc(found, isLocal)
}

// ownPorts returns the ports that the distributor listens on.
func (d *Distributor) ownPorts() (ports []string) {
	addresses := []net.Addr{d.ingestListener.Addr(), d.metricsListener.Addr()}
	for name := range d.inputs.sockets {
		addresses = append(addresses, d.InputAddr(name))
	}
	for _, one := range addresses {
		if _, port, err := net.SplitHostPort(one.String()); err == nil {
			ports = append(ports, port)
		}
	}
	return ports
}

// isLocal reports whether an address is one of this machine.
func isLocal(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	if address.IsLoopback() || address.IsUnspecified() {
		return true
	}
	own, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(own, func(one net.Addr) bool {
		prefix, err := netip.ParsePrefix(one.String())
		return err == nil && prefix.Addr().Unmap() == address
	})
}

// checkLease refuses a lease that conflicts with other analyzers. A lease that has lapsed, or whose
// analyzer is unhealthy, is replaced. The caller holds configMu.
func (d *Distributor) checkLease(lease discovery.Lease) error {
	conflict := func(key, value, format string, args ...any) error {
		return &LeaseConflictError{key, value, fmt.Sprintf(format, args...)}
	}
	for _, t := range d.Config().Targets {
		if t.ID == lease.ID || lease.Group != "" && t.ID == lease.Group && t.leasedGroup() == "" {
			return conflict("id", t.ID, "%s is an analyzer of the configuration", t.ID)
		}
		if placeOf(t.URL) == placeOf(lease.URL) {
			return conflict("url", lease.URL, "%s is the URL of %s, an analyzer of the configuration", lease.URL, t.ID)
		}
	}
	for _, a := range d.present() {
		holder, leased := d.leases.Get(a.ID())
		holds := !leased || !holder.Lapsed && a.Healthy()
		samePlace := placeOf(a.target.URL) == placeOf(lease.URL)
		switch {
		case a.ID() == lease.ID && !samePlace && holds:
			return conflict("id", lease.ID, "%s has the URL %s", lease.ID, a.target.URL)
		case a.ID() != lease.ID && samePlace && holds:
			return conflict("url", lease.URL, "%s is the URL of %s", lease.URL, a.ID())
		}
	}
	return d.checkLeases(lease, conflict)
}

// checkLeases is checkLease for conflicts with other leases only.
func (d *Distributor) checkLeases(lease discovery.Lease, conflict func(key, value, format string, args ...any) error) error {
	all := d.leases.All()
	known := false
	for _, one := range all {
		known = known || one.ID == lease.ID
		if one.Group != "" && one.Group == lease.ID || one.Group == "" && one.ID == lease.Group && one.ID != lease.ID {
			return conflict("id", lease.ID, "%s is a group of analyzers, or an analyzer, that registered", one.ID)
		}
	}
	if !known && len(all) >= maxLeases {
		return conflict("id", lease.ID, "%d analyzers have registered: there may be no more", maxLeases)
	}
	return nil
}
