package admin

import (
	"cmp"
	"encoding/json"
	"net"
	"os"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Cluster knows the other distributors that share the journal. It may be used concurrently.
type Cluster interface {
	// Others returns what the others have last announced (see Identity.Announce), and why it may
	// be outdated.
	Others() ([]Announcement, error)
}

// Announcement is the text with which a distributor has announced itself, and the time since.
type Announcement struct {
	Text []byte
	Age  time.Duration
}

// Identity is what a distributor is known by.
type Identity struct {
	// Name is the host's name and the ingest port; Ingest and Admin are URLs, as far as others can
	// reach them.
	Name, Ingest, Admin string
	Version             string
	Started             time.Time
}

// NewIdentity returns the identity of a distributor whose admin API has an address, which is empty
// if it is off.
func NewIdentity(d *distributor.Distributor, admin string, adminTLS bool, version string) Identity {
	host, _ := os.Hostname() // the port suffices on one machine
	_, port, _ := net.SplitHostPort(d.Addr())
	return Identity{
		Name: net.JoinHostPort(host, port), Ingest: reachableURL(host, d.Addr(), d.Config().TLS.Enabled()), Admin: reachableURL(host, admin, adminTLS),
		Version: version, Started: time.Now().UTC(),
	}
}

// identity returns that of the distributor behind an API at an address.
func (d Dependencies) identity(address string, started time.Time) Identity {
	if d.Identity.Name != "" {
		return d.Identity
	}
	i := NewIdentity(d.Controller.Distributor(), address, d.Access.secure != nil, d.Version)
	i.Started = started.UTC()
	return i
}

// reachableURL returns the URL of a listener's address, or nothing for one that is no host and
// port.
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

// member is a distributor of a cluster.
type member struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Admin   string `json:"admin,omitempty"`
	// Answers is the one that answers the request.
	Answers bool     `json:"answers"`
	Age     duration `json:"age"` // of what follows

	Version      string         `json:"version"`
	Started      time.Time      `json:"started"`
	State        string         `json:"state"`
	Reason       string         `json:"reason"`
	Ready        bool           `json:"ready"`
	Intake       string         `json:"intake"`
	Dispatch     string         `json:"dispatch"`
	Revision     int64          `json:"revision"`
	Synchronized bool           `json:"synchronized"`
	Analyzers    analyzerCounts `json:"analyzers"`
	Ledger       ledger         `json:"ledger"`
	Rates        rates          `json:"rates"`
}

// clusterState is the answer about all distributors.
type clusterState struct {
	AnsweredBy string `json:"answered_by"`
	// Connected is false while distributors may come or go unnoticed; Detail says why.
	Connected    bool     `json:"connected"`
	Detail       string   `json:"detail,omitempty"`
	Distributors []member `json:"distributors"`
	Sum          sum      `json:"sum"`
	// Stored is what the streams hold; nil without.
	Stored *storedState `json:"stored,omitempty"`
}

// sum is that of the distributors that are there, since their starts.
type sum struct {
	Distributors int    `json:"distributors"`
	Ready        int    `json:"ready"`
	Ledger       ledger `json:"ledger"`
	Rates        rates  `json:"rates"`
}

type storedState struct {
	Envelopes int64 `json:"envelopes"`
	Bytes     int64 `json:"bytes"`
	Limit     int64 `json:"limit_bytes"`
}

// Announce returns the text with which a distributor announces itself.
func (i Identity) Announce(c *control.Controller) []byte {
	text, err := json.Marshal(i.describe(c))
	if err != nil {
		panic(err) // a defect
	}
	return text
}

func (i Identity) describe(c *control.Controller) member {
	d, config := c.Distributor(), c.Config().Distributor
	now := d.Status()
	m := member{
		Name: i.Name, Address: i.Ingest, Admin: i.Admin, Version: i.Version, Started: i.Started, Ready: d.Ready() == nil,
		Intake: config.Intake.Mode, Dispatch: config.Dispatch, Revision: c.Revision(), Synchronized: c.Store().Synchronized,
		Analyzers: countAnalyzers(now), Ledger: ledgerOf(d, now), Rates: rates{now.Rates.In, now.Rates.Out, now.Rates.Refused},
	}
	m.State, m.Reason = d.State()
	return m
}

func (a *api) getCluster(*request) (*answer, error) {
	state, revision := a.clusterNow()
	return &answer{revision: revision, body: state}, nil
}

// clusterNow returns the state of the cluster, and the revision of this distributor.
func (a *api) clusterNow() (state clusterState, revision int64) {
	self := a.identify().describe(a.control)
	self.Answers = true
	state = clusterState{AnsweredBy: self.Name, Connected: true, Distributors: []member{self}}
	if a.cluster != nil {
		others, err := a.cluster.Others()
		if err != nil {
			state.Connected, state.Detail = false, err.Error()
		}
		state.add(others)
	}
	for _, one := range state.Distributors {
		state.Sum.add(one)
	}
	if held, ok := a.control.Distributor().Stored(); ok {
		state.Stored = &storedState{held.Envelopes, held.Bytes, held.Limit}
	}
	return state, self.Revision
}

// add adds the other distributors. Of two processes with one name the later one has taken over.
func (s *clusterState) add(others []Announcement) {
	for _, one := range others {
		var m member
		if json.Unmarshal(one.Text, &m) != nil || m.Name == "" {
			continue // of a program that announces otherwise
		}
		m.Age = duration(one.Age.Truncate(time.Millisecond))
		at := slices.IndexFunc(s.Distributors, func(other member) bool { return other.Name == m.Name })
		switch {
		case at < 0:
			s.Distributors = append(s.Distributors, m)
		case m.Started.After(s.Distributors[at].Started):
			s.Distributors[at] = m
		}
	}
	slices.SortFunc(s.Distributors, func(a, b member) int { return cmp.Compare(a.Name, b.Name) })
}

func (s *sum) add(m member) {
	s.Distributors++
	if m.Ready {
		s.Ready++
	}
	s.Ledger.add(m.Ledger)
	s.Rates.Accepted += m.Rates.Accepted
	s.Rates.Delivered += m.Rates.Delivered
	s.Rates.Refused += m.Rates.Refused
}

func (l *ledger) add(other ledger) {
	for _, of := range []struct{ to, from *volume }{
		{&l.Accepted, &other.Accepted}, {&l.Delivered, &other.Delivered}, {&l.Queued, &other.Queued}, {&l.InFlight, &other.InFlight},
		{&l.DeadLettered, &other.DeadLettered}, {&l.Damaged, &other.Damaged},
	} {
		of.to.Packets += of.from.Packets
		of.to.Messages += of.from.Messages
	}
	l.Received, l.Returned = plus(l.Received, other.Received), plus(l.Returned, other.Returned)
	l.Unaccounted += other.Unaccounted
}

// plus adds two volumes, of which either may be missing.
func plus(a, b *volume) *volume {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return new(volumeOf(packet.Volume{Packets: a.Packets + b.Packets, Messages: a.Messages + b.Messages}))
}
