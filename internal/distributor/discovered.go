package distributor

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/discovery"
	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/metric"
)

// maxIDLen is the maximum length of an analyzer's id.
const maxIDLen = 64

// member is an analyzer that the configuration lists, or a member of a group that it lists.
type member struct {
	Target
	group      string // the id of the group, or empty
	registered bool   // registered by a lease
}

// resolver returns what finds the host of the member's URL: a name of a service is one of the name
// server that lists the service.
func (m member) resolver(config Config) *net.Resolver {
	if m.group != "" && !m.registered {
		return discovery.HostResolver(config.NameServer)
	}
	return net.DefaultResolver
}

// group returns the group that the target is, or reports that it is no group.
func (t Target) group() (g discovery.Group, isGroup bool, err error) {
	if _, _, isGroup = discovery.Cut(t.URL); isGroup {
		g, err = discovery.Parse(t.URL)
	}
	return g, isGroup, err
}

// groups returns the groups among the targets whose members DNS lists.
func (t Targets) groups() (groups []discovery.Group) {
	for _, one := range t {
		if g, isGroup, err := one.group(); isGroup && err == nil && g.Kind != discovery.Leased && !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	return groups
}

// members returns the analyzers of a configuration now, including those that registered themselves.
// A group divides its weight among its members.
func (d *Distributor) members(config Config) (members []member) {
	for i, t := range d.WithRegistered(config.Targets) {
		g, isGroup, err := t.group()
		if !isGroup || err != nil {
			members = append(members, member{Target: t, registered: i >= len(config.Targets)})
			continue
		}
		for _, found := range d.membersOf(g) {
			one := t
			one.ID, one.URL, one.Weight = found.ID, found.URL(t.URL), t.Weight*found.Part
			if one.ID == "" {
				one.ID = memberID(t.ID, found.Name())
			}
			members = append(members, member{one, t.ID, g.Kind == discovery.Leased})
		}
	}
	members = withoutCollisions(members)
	if len(members) > fairshare.MaxMembers {
		d.logger.Error("groups have more members than there may be analyzers: the last ones get nothing", "members", len(members), "most", fairshare.MaxMembers)
		members = members[:fairshare.MaxMembers]
	}
	return members
}

// membersOf returns the members of a group, from DNS or from their leases.
func (d *Distributor) membersOf(g discovery.Group) []discovery.Member {
	if g.Kind == discovery.Leased {
		return d.leases.Members(g.Name)
	}
	return d.discovery.Members(g)
}

// withoutCollisions omits registered analyzers with the id or the URL of another analyzer, which
// was configured or discovered later.
func withoutCollisions(members []member) (kept []member) {
	ids, places := make(map[string]bool), make(map[string]bool)
	for _, one := range members {
		if !one.registered {
			ids[one.ID], places[placeOf(one.URL)] = true, true
		}
	}
	return slices.DeleteFunc(members, func(one member) bool {
		return one.registered && (ids[one.ID] || places[placeOf(one.URL)])
	})
}

// memberID returns the id of a member, with a hash in place of the part that is too long.
func memberID(group, name string) string {
	id := group + "-" + name
	if len(id) <= maxIDLen {
		return id
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(id))
	suffix := fmt.Sprintf("-%08x", sum.Sum32())
	return id[:maxIDLen-len(suffix)] + suffix
}

// Discovery is a change of a group of analyzers.
type Discovery struct {
	// Group is the id of the group.
	Group string
	// Members are the ids of the members after the change.
	Members []string
	// Beyond is the number of further members, which exceed the limit and are not used.
	Beyond int
	// Err is the reason why the group, or one family of its addresses, cannot be resolved now; the
	// known members stay meanwhile.
	Err error
}

// OnDiscovery sets the function that is called with each change of a group. It must be called
// before Start. The function is called from many goroutines, and must not call Stop.
func (d *Distributor) OnDiscovery(f func(Discovery)) { d.onDiscovery = f }

// resolve waits briefly for the members of new groups.
func (d *Distributor) resolve(ctx context.Context, config Config, limit time.Duration) {
	groups := config.Targets.groups()
	if len(groups) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	d.discovery.Resolve(ctx, groups)
}

// RefreshGroups queries the members of groups at once, instead of at the expiry of the last response.
// It may be called concurrently after Start.
func (d *Distributor) RefreshGroups() { d.discovery.Refresh() }

// rediscover applies a change of the members of a group.
func (d *Distributor) rediscover(c discovery.Change) {
	logger := d.logger.With("component", "discovery", "group", c.Group.Name)
	if c.Err != nil {
		logger.Error("a group of analyzers cannot be resolved: what is known of it stays", "error", c.Err)
	}
	if c.Beyond > 0 {
		logger.Error("a group of analyzers has more members than are used: the others get nothing", "beyond", c.Beyond)
	}
	d.configMu.Lock()
	config := d.Config()
	if c.Members != nil && !d.stopped {
		change, err := d.replan(joinTimeout)
		if err != nil {
			logger.Error("the members of a group cannot be changed", "error", err) // a missing certificate, for example
		} else {
			logger.Info("the members of a group have changed", "members", len(c.Members), "joining", len(change.joining), "leaving", len(change.leaving))
		}
	}
	d.configMu.Unlock()
	d.reportDiscovery(c, config)
}

// replan applies the current members of groups, and waits for the first probes of new members, at
// most for a time. The caller holds configMu.
func (d *Distributor) replan(limit time.Duration) (change, error) {
	c, err := d.plan(d.Config())
	if err != nil {
		return c, err
	}
	d.startAnalyzers(d.leaveCtx, c.joining, limit)
	d.apply(d.Config(), c)
	return c, nil
}

// reportDiscovery calls onDiscovery for each analyzer of the configuration that is the group.
func (d *Distributor) reportDiscovery(c discovery.Change, config Config) {
	if d.onDiscovery == nil {
		return
	}
	for _, t := range config.Targets {
		if g, isGroup, _ := t.group(); !isGroup || g != c.Group {
			continue
		}
		report := Discovery{Group: t.ID, Beyond: c.Beyond, Err: c.Err}
		for _, one := range d.discovery.Members(c.Group) {
			report.Members = append(report.Members, memberID(t.ID, one.Name()))
		}
		d.onDiscovery(report)
	}
}

// GroupOf returns the id of the group that an analyzer is a member of, or "".
func (d *Distributor) GroupOf(id string) string {
	a, _ := d.find(id)
	return a.group
}

// ofGroup returns the analyzers with an id, or of the group with that id.
func (d *Distributor) ofGroup(id string) (found []running) {
	for _, a := range d.present() {
		if a.ID() == id || a.group == id {
			found = append(found, a)
		}
	}
	return found
}

// registerDiscovery registers the metrics of groups in DNS.
func (d *Distributor) registerDiscovery() error {
	const name, help = "distributor_discovery_failures_total", "Queries for groups of analyzers without an answer (none), or with one for one family of addresses alone (partial); what was known stays."
	r := metric.On(d.registry)
	r.CounterFunc(name, help, prometheus.Labels{"answer": "none"}, func() float64 { none, _ := d.discovery.Failures(); return float64(none) })
	r.CounterFunc(name, help, prometheus.Labels{"answer": "partial"}, func() float64 { _, partial := d.discovery.Failures(); return float64(partial) })
	return r.Err()
}
