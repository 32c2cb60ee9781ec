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
	"time"

	"github.com/miekg/dns"
)

const (
	// minTTL is after how long an answer is asked for again, at least; maxTTL at most.
	minTTL = 5 * time.Second
	maxTTL = 5 * time.Minute
	// queryTimeout bounds one query to one server.
	queryTimeout = 2 * time.Second
	// maxMembers bounds a group; the answer's order does not decide which are taken.
	maxMembers = 256
	// maxMessage is the size of an answer by UDP that is asked for (RFC 9715).
	maxMessage = 1400
)

// Resolver asks name servers. It may be used concurrently.
type Resolver struct {
	servers []string // host:port; none: those of the system
	udp     dns.Client
	tcp     dns.Client
}

// NewResolver returns a Resolver that asks a server, host:port, or with "" those that
// /etc/resolv.conf names at the time.
func NewResolver(server string) *Resolver {
	r := &Resolver{
		udp: dns.Client{Timeout: queryTimeout, UDPSize: maxMessage},
		tcp: dns.Client{Net: "tcp", Timeout: queryTimeout},
	}
	if server != "" {
		r.servers = []string{server}
	}
	return r
}

// errNoMembers is an answer without records.
var errNoMembers = errors.New("the name has no addresses")

// Resolve returns the members of a group, sorted, at least one, and for how long they hold.
func (r *Resolver) Resolve(ctx context.Context, g Group) (members []Member, ttl time.Duration, err error) {
	if g.Kind == Service {
		members, ttl, err = r.service(ctx, g.Name)
	} else {
		members, ttl, err = r.host(ctx, g.Name)
	}
	if err == nil && len(members) == 0 {
		err = errNoMembers
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", g.Name, err)
	}
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Port, b.Port))
	})
	members = slices.CompactFunc(members, func(a, b Member) bool { return a.Host == b.Host && a.Port == b.Port })
	if len(members) > maxMembers {
		members = members[:maxMembers]
	}
	return parted(members), min(max(ttl, minTTL), maxTTL), nil
}

// parted makes the parts sum to 1.
func parted(members []Member) []Member {
	sum := 0.0
	for _, m := range members {
		sum += m.Part
	}
	for i := range members {
		members[i].Part /= sum
	}
	return members
}

// host asks for both families. An address without a name is its only member.
func (r *Resolver) host(ctx context.Context, name string) (members []Member, ttl time.Duration, err error) {
	if address, err := netip.ParseAddr(name); err == nil {
		return []Member{{Host: address.Unmap().String(), Part: 1}}, maxTTL, nil
	}
	ttl = maxTTL
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		records, err := r.query(ctx, name, kind)
		if err != nil {
			return r.hosts(ctx, name, err)
		}
		for _, record := range records {
			switch record := record.(type) {
			case *dns.A:
				members = append(members, Member{Host: record.A.String(), Part: 1})
			case *dns.AAAA:
				members = append(members, Member{Host: record.AAAA.String(), Part: 1})
			default: // CNAME, whose time counts too
			}
			ttl = min(ttl, time.Duration(record.Header().Ttl)*time.Second)
		}
	}
	return members, ttl, nil
}

// hosts asks the system, which knows the names in /etc/hosts, too. Without an answer from
// there the error is that of the name servers.
func (r *Resolver) hosts(ctx context.Context, name string, failure error) ([]Member, time.Duration, error) {
	if len(r.servers) > 0 {
		return nil, 0, failure
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, 0, failure
	}
	var members []Member
	for _, address := range addresses {
		members = append(members, Member{Host: address.Unmap().String(), Part: 1})
	}
	return members, minTTL, nil
}

// service returns the servers of the best priority. One with the weight 0 gets little next to
// others (RFC 2782), so that it counts as a tenth of 1.
func (r *Resolver) service(ctx context.Context, name string) (members []Member, ttl time.Duration, err error) {
	records, err := r.query(ctx, name, dns.TypeSRV)
	if err != nil {
		return nil, 0, err
	}
	best := uint16(0xffff)
	for _, record := range records {
		if srv, ok := record.(*dns.SRV); ok && srv.Target != "." {
			best = min(best, srv.Priority)
		}
	}
	ttl = maxTTL
	for _, record := range records {
		ttl = min(ttl, time.Duration(record.Header().Ttl)*time.Second)
		if srv, ok := record.(*dns.SRV); ok && srv.Target != "." && srv.Priority == best {
			members = append(members, Member{
				Host: strings.ToLower(strings.TrimSuffix(srv.Target, ".")), Port: strconv.Itoa(int(srv.Port)), Part: max(float64(srv.Weight), 0.1),
			})
		}
	}
	return members, ttl, nil
}

// query asks the servers one after the other for the first of the names that search domains
// make of a name.
func (r *Resolver) query(ctx context.Context, name string, kind uint16) (records []dns.RR, err error) {
	servers, names := r.servers, []string{dns.Fqdn(name)}
	if len(servers) == 0 {
		config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return nil, err
		}
		names = config.NameList(name)
		for _, server := range config.Servers {
			servers = append(servers, net.JoinHostPort(server, config.Port))
		}
	}
	for _, full := range names {
		var exists bool
		if records, exists, err = r.ask(ctx, servers, full, kind); err != nil || exists {
			return records, err
		}
	}
	return nil, errors.New("the name does not exist")
}

// ask reports whether the name exists.
func (r *Resolver) ask(ctx context.Context, servers []string, name string, kind uint16) (records []dns.RR, exists bool, err error) {
	question := new(dns.Msg).SetQuestion(name, kind)
	question.SetEdns0(maxMessage, false)
	err = errors.New("there is no name server")
	for _, server := range servers {
		var answer *dns.Msg
		if answer, err = r.exchange(ctx, question, server); err != nil {
			continue
		}
		switch answer.Rcode {
		case dns.RcodeSuccess:
			return answer.Answer, true, nil
		case dns.RcodeNameError:
			return nil, false, nil
		}
		err = fmt.Errorf("the name server %s answers %s", server, dns.RcodeToString[answer.Rcode])
	}
	return nil, false, err
}

// exchange asks by UDP, and by TCP if the answer is cut.
func (r *Resolver) exchange(ctx context.Context, question *dns.Msg, server string) (*dns.Msg, error) {
	answer, _, err := r.udp.ExchangeContext(ctx, question, server)
	if err == nil && answer.Truncated {
		answer, _, err = r.tcp.ExchangeContext(ctx, question, server)
	}
	return answer, err
}
