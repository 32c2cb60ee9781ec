// Package discovery finds the members of groups of analyzers. Of a group that a name in DNS
// stands for they are the addresses of a host, or the servers of a service: a Resolver queries DNS;
// a Watcher repeats the query whenever a response has expired and keeps the last good one. Of a
// group that analyzers join themselves they are those that have Leases.
package discovery

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Kind is how a group is found.
type Kind string

// The kinds, which are schemes of URLs before another scheme: dns+http://analyzers:9001.
const (
	// Host is a group whose members are the addresses (A, AAAA) of a host.
	Host Kind = "dns"
	// Service is a group whose members are the servers (SRV) of a service.
	Service Kind = "srv"
	// Leased is a group whose members register themselves.
	Leased Kind = "lease"
)

// Group is a name whose members are to be found. It is comparable.
type Group struct {
	Kind Kind
	// Name is the host, such as analyzers, the service, such as _ingest._tcp.analyzers, or
	// the group that members name.
	Name string
}

// Member is a member of a group.
type Member struct {
	// ID and Base are those of the Lease, and empty in other groups, which have Host and Port.
	ID, Base string
	// Host is an IP address or, in a Service, a name; Port is empty in a Host.
	Host, Port string
	// Part is its part of the group's weight, above 0; the parts sum to 1.
	Part float64
}

// Cut returns the kind of a group's URL and the URL of a member without that, or reports
// that the URL is not one of a group.
func Cut(text string) (kind Kind, rest string, found bool) {
	scheme, rest, found := strings.Cut(text, "+")
	kind = Kind(strings.ToLower(scheme))
	if !found || kind != Host && kind != Service && kind != Leased {
		return "", text, false
	}
	return kind, rest, true
}

// Parse returns the group of a URL that Cut accepts.
func Parse(text string) (Group, error) {
	kind, rest, _ := Cut(text)
	base, err := url.Parse(rest)
	if err != nil || base.Hostname() == "" {
		return Group{}, fmt.Errorf("%q: it must look like %s+http://name", text, kind)
	}
	if kind == Leased && (base.Port() != "" || strings.Trim(base.Path, "/") != "") {
		return Group{}, fmt.Errorf("%q: it must have a name alone, such as %s+http://analyzers: members register the rest", text, kind)
	}
	if kind == Leased && !IsGroupName(strings.ToLower(base.Hostname())) {
		return Group{}, fmt.Errorf("%q: the name of the group must be %s", text, GroupForm)
	}
	if kind == Service && base.Port() != "" {
		return Group{}, fmt.Errorf("%q: it must have no port: the service's records have it", text)
	}
	name := base.Hostname()
	if _, err := netip.ParseAddr(name); err != nil { // the zone of an address keeps its case
		name = strings.ToLower(strings.TrimSuffix(name, "."))
	}
	return Group{kind, name}, nil
}

// URL returns the URL of a member of a group with a URL.
func (m Member) URL(group string) string {
	_, rest, _ := Cut(group)
	if m.Base != "" {
		_, options, found := strings.Cut(rest, "?")
		if found {
			return m.Base + "?" + options
		}
		return m.Base
	}
	base, err := url.Parse(rest)
	if err != nil {
		return rest // does not happen: Parse has accepted it
	}
	host := m.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port := m.Port
	if port == "" {
		port = base.Port()
	}
	if port != "" {
		host += ":" + port
	}
	base.Host = host
	return base.String()
}

// Name returns what identifies the member in its group: letters, digits, '.' and '-'.
func (m Member) Name() string {
	name := m.Host
	if m.Port != "" {
		name += "-" + m.Port
	}
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.':
			return r
		}
		return '-'
	}, name)
}
