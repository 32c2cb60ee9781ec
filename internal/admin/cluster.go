package admin

import (
	"cmp"
	"encoding/json"
	"net"
	"os"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

// Cluster lists the other distributors that share the journal. It may be used concurrently.
type Cluster interface {
	// Others returns the latest announcements of the other distributors (see Identity.Announce),
	// and the reason why they may be outdated.
	Others() ([]Announcement, error)
}

// Announcement is the text with which a distributor has announced itself, and the time since.
type Announcement struct {
	Text []byte
	Age  time.Duration
}

// Identity is the name and the addresses by which other distributors know a distributor.
type Identity struct {
	// Name is the host's name and the ingest port; Ingest and Admin are URLs, if other hosts can
	// reach them.
	Name, Ingest, Admin string
	Version             string
	Started             time.Time
}

// NewIdentity returns the identity of a distributor whose admin API has that address, which is
// empty if the API is off.
func NewIdentity(d *distributor.Distributor, admin string, adminTLS bool, version string) Identity {
	host, _ := os.Hostname() // the port is unique on one machine
	_, port, _ := net.SplitHostPort(d.Addr())
	return Identity{
		Name: net.JoinHostPort(host, port), Ingest: reachableURL(host, d.Addr(), d.Config().TLS.Enabled()), Admin: reachableURL(host, admin, adminTLS),
		Version: version, Started: time.Now().UTC(),
	}
}

// identity returns the identity of the distributor behind an API at an address.
func (d Dependencies) identity(address string, started time.Time) Identity {
	if d.Identity.Name != "" {
		return d.Identity
	}
	i := NewIdentity(d.Controller.Distributor(), address, d.Access.secure != nil, d.Version)
	i.Started = started.UTC()
	return i
}

// reachableURL returns the URL of a listener's address, or an empty text if the address is no host
// and port.
func reachableURL(host, address string, tls bool) string {
	at, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(at); at == "" || ip != nil && ip.IsUnspecified() {
		at = host
	}
	if tls {
		return "https://" + net.JoinHostPort(at, port)
	}
	return "http://" + net.JoinHostPort(at, port)
}

// Announce returns the text with which a distributor announces itself.
func (i Identity) Announce(c *control.Controller) []byte {
	text, err := json.Marshal(i.describe(c))
	if err != nil {
		panic(err) // a defect
	}
	return text
}

func (i Identity) describe(c *control.Controller) adminapi.Distributor {
	d, config := c.Distributor(), c.Config().Distributor
	now := d.Status()
	m := adminapi.Distributor{
		Name: i.Name, Address: i.Ingest, Admin: i.Admin, Version: i.Version, Started: i.Started, Ready: d.Ready() == nil,
		Intake: config.Intake.Mode, Dispatch: config.Dispatch, Revision: c.Revision(), Synchronized: c.Store().Synchronized,
		Analyzers: countAnalyzers(now), Ledger: ledgerOf(d, now), Rates: ratesOf(now),
	}
	m.State, m.Reason = d.State()
	return m
}

func (a *api) getCluster(*request) (*response, error) {
	state, revision := a.clusterNow()
	return &response{revision: revision, body: state}, nil
}

// clusterNow returns the state of the cluster, and the revision of this distributor.
func (a *api) clusterNow() (state adminapi.Cluster, revision int64) {
	self := a.identify().describe(a.control)
	self.Responses = true
	state = adminapi.Cluster{AnsweredBy: self.Name, Connected: true, Distributors: []adminapi.Distributor{self}}
	if a.cluster != nil {
		others, err := a.cluster.Others()
		if err != nil {
			state.Connected, state.Detail = false, err.Error()
		}
		addOthers(&state, others)
	}
	for _, one := range state.Distributors {
		addTo(&state.Sum, one)
	}
	if held, ok := a.control.Distributor().Stored(); ok {
		state.Stored = &adminapi.Stored{Envelopes: held.Envelopes, Bytes: held.Bytes, Limit: held.Limit}
	}
	return state, self.Revision
}

// addOthers adds the other distributors. If two processes have one name, the later process has
// taken over.
func addOthers(s *adminapi.Cluster, others []Announcement) {
	for _, one := range others {
		var m adminapi.Distributor
		if json.Unmarshal(one.Text, &m) != nil || m.Name == "" {
			continue // a program of another version has another format
		}
		m.Age = adminapi.Duration(one.Age.Truncate(time.Millisecond))
		at := slices.IndexFunc(s.Distributors, func(other adminapi.Distributor) bool { return other.Name == m.Name })
		switch {
		case at < 0:
			s.Distributors = append(s.Distributors, m)
		case m.Started.After(s.Distributors[at].Started):
			s.Distributors[at] = m
		}
	}
	slices.SortFunc(s.Distributors, func(a, b adminapi.Distributor) int { return cmp.Compare(a.Name, b.Name) })
}

func addTo(s *adminapi.ClusterSum, m adminapi.Distributor) {
	s.Distributors++
	if m.Ready {
		s.Ready++
	}
	addLedger(&s.Ledger, m.Ledger)
	s.Rates.Accepted += m.Rates.Accepted
	s.Rates.Delivered += m.Rates.Delivered
	s.Rates.Refused += m.Rates.Refused
}

func addLedger(l *adminapi.Ledger, other adminapi.Ledger) {
	for _, of := range []struct{ to, from *adminapi.Volume }{
		{&l.Accepted, &other.Accepted}, {&l.Delivered, &other.Delivered}, {&l.Queued, &other.Queued}, {&l.InFlight, &other.InFlight},
		{&l.DeadLettered, &other.DeadLettered}, {&l.Damaged, &other.Damaged},
	} {
		of.to.Packets += of.from.Packets
		of.to.Messages += of.from.Messages
	}
	l.Received, l.Returned = plus(l.Received, other.Received), plus(l.Returned, other.Returned)
	l.UnaccountedMessages += other.UnaccountedMessages
}

// plus adds two volumes, either of which may be missing.
func plus(a, b *adminapi.Volume) *adminapi.Volume {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return &adminapi.Volume{Packets: a.Packets + b.Packets, Messages: a.Messages + b.Messages}
}
