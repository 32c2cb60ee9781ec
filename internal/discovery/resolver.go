package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// minTTL and maxTTL bound the time until a query is repeated.
	minTTL = 5 * time.Second
	maxTTL = 5 * time.Minute
	// queryTimeout bounds one query to one server.
	queryTimeout = 2 * time.Second
	// resolveTimeout bounds all queries for one group.
	resolveTimeout = 15 * time.Second
	// maxMembers bounds a group; the response's order does not decide which are taken.
	maxMembers = 256
	// maxMessage is the maximum size of a response by UDP that queries announce (RFC 9715).
	maxMessage = 1400
)

// Resolver queries name servers. It may be used concurrently.
type Resolver struct {
	servers []string                          // host:port; none: those of system
	system  func() (*dns.ClientConfig, error) // reads the configuration of the system
	udp     dns.Client
	tcp     dns.Client
}

// NewResolver returns a Resolver that queries a server, host:port, or with "" those that
// /etc/resolv.conf names at the time.
func NewResolver(server string) *Resolver {
	r := &Resolver{
		system: func() (*dns.ClientConfig, error) { return dns.ClientConfigFromFile("/etc/resolv.conf") },

		udp: dns.Client{Timeout: queryTimeout, UDPSize: maxMessage},
		tcp: dns.Client{Net: "tcp", Timeout: queryTimeout},
	}
	if server != "" {
		r.servers = []string{server}
	}
	return r
}

// HostResolver returns a resolver for the hosts of members that queries a server, host:port, or with
// "" that of the system.
func HostResolver(server string) *net.Resolver {
	if server == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server)
	}}
}

// errNoMembers is a response without records.
var errNoMembers = errors.New("the name has no addresses")

// errNotFound is the response that a name does not exist.
var errNotFound = errors.New("the name does not exist")

// Response is the response of name servers about a group.
type Response struct {
	// Members are sorted, at least one; Beyond is how many there are besides, which are too many.
	Members []Member
	Beyond  int
	// TTL is for how long they hold.
	TTL time.Duration
	// Incomplete is why there is no response for one family of addresses, whose members are those
	// known before; nil if both were answered.
	Incomplete error
}

// Resolve returns the members of a group. Known are the members of the last response: if name
// servers answer for one family of addresses alone, those of the other one stay.
func (r *Resolver) Resolve(ctx context.Context, g Group, known []Member) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	var found found
	var err error
	if g.Kind == Service {
		found, err = r.service(ctx, g.Name)
	} else {
		found, err = r.host(ctx, g.Name, known)
	}
	if err == nil && len(found.members) == 0 {
		err = errNoMembers
	}
	if err != nil {
		return Response{}, fmt.Errorf("%s: %w", g.Name, err)
	}
	members := found.members
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Port, b.Port), cmp.Compare(b.Part, a.Part))
	})
	members = slices.CompactFunc(members, func(a, b Member) bool { return a.Host == b.Host && a.Port == b.Port })
	taken := min(len(members), maxMembers)
	response := Response{Members: normalizeParts(members[:taken]), Beyond: len(members) - taken, TTL: min(max(found.ttl, minTTL), maxTTL)}
	if found.incomplete != nil {
		response.TTL, response.Incomplete = minTTL, fmt.Errorf("%s: %w", g.Name, found.incomplete)
	}
	return response, nil
}

// normalizeParts makes the parts sum to 1.
func normalizeParts(members []Member) []Member {
	sum := 0.0
	for _, m := range members {
		sum += m.Part
	}
	for i := range members {
		members[i].Part /= sum
	}
	return members
}

// found is the response of the servers about a name.
type found struct {
	members    []Member
	ttl        time.Duration
	alias      string // what the name is an alias of, or empty
	incomplete error  // of one family
}

// host queries both families. An address without a name is its only member.
func (r *Resolver) host(ctx context.Context, name string, known []Member) (found, error) {
	if address, err := netip.ParseAddr(name); err == nil {
		return found{members: []Member{{Host: address.Unmap().String(), Part: 1}}, ttl: maxTTL}, nil
	}
	results, err := r.query(ctx, name, dns.TypeA, dns.TypeAAAA)
	if err != nil {
		return r.hosts(ctx, name, err)
	}
	f := found{ttl: maxTTL}
	for _, one := range results {
		f.add(one.records)
	}
	for _, one := range results {
		switch {
		case one.err == nil || errors.Is(one.err, errNotFound):
			continue
		case len(f.members) == 0: // it may have addresses of this family alone
			return r.hosts(ctx, name, one.err)
		}
		f.incomplete = fmt.Errorf("%s: %w", dns.TypeToString[one.kind], one.err)
		f.members = append(f.members, ofFamily(known, one.kind)...)
	}
	if len(f.members) == 0 && f.alias != "" {
		return found{}, fmt.Errorf("the name is an alias of %s, of which the name server gives no address", f.alias)
	}
	return f, nil
}

// add adds the addresses of records.
func (f *found) add(records []dns.RR) {
	for _, record := range records {
		var address net.IP
		switch record := record.(type) {
		case *dns.A:
			address = record.A
		case *dns.AAAA:
			address = record.AAAA
		case *dns.CNAME: // its time counts, too
			f.alias = record.Target
		}
		f.ttl = min(f.ttl, time.Duration(record.Header().Ttl)*time.Second)
		if address != nil && !address.IsUnspecified() { // servers that block names answer with 0.0.0.0, which is this machine
			f.members = append(f.members, Member{Host: address.String(), Part: 1})
		}
	}
}

// ofFamily returns the members whose addresses are of the family of a type of records, each with
// the part 1.
func ofFamily(members []Member, kind uint16) (of []Member) {
	for _, m := range members {
		if address, err := netip.ParseAddr(m.Host); err == nil && address.Is4() == (kind == dns.TypeA) {
			of = append(of, Member{Host: m.Host, Part: 1})
		}
	}
	return of
}

// hosts uses the resolver of the system, which reads /etc/hosts, too. Without a response from
// there the error is that of the name servers.
func (r *Resolver) hosts(ctx context.Context, name string, failure error) (found, error) {
	if len(r.servers) > 0 {
		return found{}, failure
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return found{}, failure
	}
	f := found{ttl: minTTL}
	for _, address := range addresses {
		f.members = append(f.members, Member{Host: address.Unmap().String(), Part: 1})
	}
	return f, nil
}

// service returns the servers of the best priority. One with the weight 0 gets little next to
// others (RFC 2782), so that it counts as a tenth of 1.
func (r *Resolver) service(ctx context.Context, name string) (found, error) {
	results, err := r.query(ctx, name, dns.TypeSRV)
	if err != nil {
		return found{}, err
	}
	records := results[0].records
	best := uint16(0xffff)
	for _, record := range records {
		if srv, ok := record.(*dns.SRV); ok && srv.Target != "." {
			best = min(best, srv.Priority)
		}
	}
	f := found{ttl: maxTTL}
	for _, record := range records {
		f.ttl = min(f.ttl, time.Duration(record.Header().Ttl)*time.Second)
		if srv, ok := record.(*dns.SRV); ok && srv.Target != "." && srv.Priority == best {
			f.members = append(f.members, Member{
				Host: strings.ToLower(strings.TrimSuffix(srv.Target, ".")), Port: strconv.Itoa(int(srv.Port)), Part: max(float64(srv.Weight), 0.1),
			})
		}
	}
	return f, nil
}

// lookupResult is the response of the servers about one type of records of a name.
type lookupResult struct {
	kind    uint16
	records []dns.RR
	err     error // unless the type exists
}

// query queries types of records for the first of the names that search domains make
// of a name. There is a response for each type, at least one of them without an error. A name for
// which servers fail is passed over, as system resolvers do; with servers that do not answer
// there is no further name.
func (r *Resolver) query(ctx context.Context, name string, kinds ...uint16) ([]lookupResult, error) {
	servers, names := r.servers, []string{dns.Fqdn(name)}
	if len(servers) == 0 {
		config, err := r.system()
		if err != nil {
			return nil, err
		}
		names = config.NameList(name)
		for _, server := range config.Servers {
			servers = append(servers, net.JoinHostPort(server, config.Port))
		}
	}
	failure := errNotFound
	for _, full := range names {
		results := r.lookUpAll(ctx, servers, full, kinds)
		unknown := slices.ContainsFunc(results, func(one lookupResult) bool { return errors.Is(one.err, errNotFound) })
		if slices.ContainsFunc(results, func(one lookupResult) bool { return one.err == nil }) {
			return results, nil
		}
		if !unknown {
			failure = results[0].err
		}
		if errors.As(failure, new(net.Error)) {
			break
		}
	}
	return nil, failure
}

// lookUpAll looks up types of records at once.
func (r *Resolver) lookUpAll(ctx context.Context, servers []string, name string, kinds []uint16) []lookupResult {
	results := make([]lookupResult, len(kinds))
	var lookUps sync.WaitGroup
	for i, kind := range kinds {
		lookUps.Go(func() {
			records, err := r.lookUp(ctx, servers, name, kind)
			results[i] = lookupResult{kind, records, err}
		})
	}
	lookUps.Wait()
	return results
}

// lookUp queries the servers one after the other until one answers that the name exists, or that it
// does not, which is errNotFound.
func (r *Resolver) lookUp(ctx context.Context, servers []string, name string, kind uint16) (records []dns.RR, err error) {
	question := new(dns.Msg).SetQuestion(name, kind)
	question.SetEdns0(maxMessage, false)
	err = errors.New("there is no name server")
	for _, server := range servers {
		var response *dns.Msg
		if response, err = r.exchange(ctx, question, server); err != nil {
			continue
		}
		switch response.Rcode {
		case dns.RcodeSuccess:
			return response.Answer, nil
		case dns.RcodeNameError:
			return nil, errNotFound
		}
		err = fmt.Errorf("the name server %s answers %s", server, dns.RcodeToString[response.Rcode])
	}
	return nil, err
}

// exchange sends a query by UDP, and by TCP if the response is truncated.
func (r *Resolver) exchange(ctx context.Context, question *dns.Msg, server string) (*dns.Msg, error) {
	response, _, err := r.udp.ExchangeContext(ctx, question, server)
	if err == nil && response.Truncated {
		response, _, err = r.tcp.ExchangeContext(ctx, question, server)
	}
	return response, err
}
