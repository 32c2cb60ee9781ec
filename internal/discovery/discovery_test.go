package discovery

import (
	"context"
	"fmt"
	"math"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/logstreamer/logstreamer/internal/discovery/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func text(members []Member) string {
	var parts []string
	for _, m := range members {
		parts = append(parts, fmt.Sprintf("%s:%s=%.3g", m.Host, m.Port, m.Part))
	}
	return strings.Join(parts, " ")
}

// addresses returns records, the first ones of which are the first when they are sorted.
func addresses(n int) (records []string) {
	for i := range n {
		records = append(records, fmt.Sprintf("60 IN A 10.0.%d.%d", 100+i/100, 100+i%100))
	}
	return records
}

func ofType(kind uint16) func(dns.Question) bool {
	return func(q dns.Question) bool { return q.Qtype == kind }
}

func TestResolve(t *testing.T) {
	server := dnstest.New(t)
	server.Set("a.test", "60 IN A 127.0.0.3", "30 IN A 127.0.0.2", "60 IN A 127.0.0.2", "600 IN AAAA ::1")
	server.Set("none.test")
	server.Set("short.test", "0 IN A 127.0.0.2")
	server.Set("long.test", "86400 IN A 127.0.0.2")
	server.Set("_s._tcp.test", "60 IN SRV 1 30 9001 b.test.", "60 IN SRV 1 10 9002 b.test.", "60 IN SRV 2 100 9003 c.test.")
	server.Set("_none._tcp.test", "60 IN SRV 0 0 0 .")
	server.Set("_even._tcp.test", "60 IN SRV 0 0 1 a.test.", "60 IN SRV 0 0 2 a.test.")
	server.Set("alias.test", "20 IN CNAME b.test.", "60 IN A 127.0.0.4")
	server.Set("dangling.test", "60 IN CNAME b.test.")
	server.Set("blocked.test", "60 IN A 0.0.0.0", "60 IN AAAA ::")
	server.Set("mapped.test", "60 IN A 127.0.0.2", "60 IN AAAA ::ffff:127.0.0.2")
	r := NewResolver(server.Address)
	for _, c := range []struct {
		group Group
		want  string
		ttl   time.Duration
	}{
		{Group{Host, "a.test"}, "127.0.0.2:=0.333 127.0.0.3:=0.333 ::1:=0.333", 30 * time.Second},
		{Group{Host, "none.test"}, "none.test: the name has no addresses", 0},
		{Group{Host, "unknown.test"}, "unknown.test: the name does not exist", 0},
		{Group{Host, "short.test"}, "127.0.0.2:=1", minTTL},
		{Group{Host, "long.test"}, "127.0.0.2:=1", maxTTL},
		{Group{Host, "127.0.0.9"}, "127.0.0.9:=1", maxTTL},
		{Group{Host, "fe80::1%Eth0"}, "fe80::1%Eth0:=1", maxTTL},
		{Group{Host, "alias.test"}, "127.0.0.4:=1", 20 * time.Second},
		{Group{Host, "dangling.test"}, "dangling.test: the name is an alias of b.test., of which the name server gives no address", 0},
		{Group{Host, "blocked.test"}, "blocked.test: the name has no addresses", 0},
		{Group{Host, "mapped.test"}, "127.0.0.2:=1", time.Minute},
		{Group{Service, "_s._tcp.test"}, "b.test:9001=0.75 b.test:9002=0.25", time.Minute},
		{Group{Service, "_even._tcp.test"}, "a.test:1=0.5 a.test:2=0.5", time.Minute},
		{Group{Service, "_none._tcp.test"}, "_none._tcp.test: the name has no addresses", 0},
	} {
		response, err := r.Resolve(t.Context(), c.group, nil)
		got, ttl := text(response.Members), response.TTL
		if err != nil {
			got = err.Error()
		}
		if got != c.want || ttl != c.ttl {
			t.Errorf("%v: %s for %v, want %s for %v", c.group, got, ttl, c.want, c.ttl)
		}
	}
}

// A large response does not fit into a datagram, so that it is asked for by TCP; one that does not come is
// an error.
func TestResolveManyOrNone(t *testing.T) {
	server := dnstest.New(t)
	server.Set("many.test", addresses(2*maxMembers)...)
	r := NewResolver(server.Address)
	response, err := r.Resolve(t.Context(), Group{Host, "many.test"}, nil)
	if err != nil || len(response.Members) != maxMembers || response.Beyond != maxMembers || math.Abs(response.Members[0].Part*maxMembers-1) > 1e-9 {
		t.Errorf("%d members, %d beyond, %v", len(response.Members), response.Beyond, err)
	}
	server.Fail(dns.RcodeServerFailure)
	if _, err := r.Resolve(t.Context(), Group{Host, "a.test"}, nil); err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
		t.Errorf("a server that fails: %v", err)
	}
	server.Silence()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Resolve(ctx, Group{Host, "a.test"}, nil); err == nil {
		t.Error("a server that is silent gives a response")
	}
}

// A family for which servers fail keeps its known members; the other one is as it was answered.
func TestOneFamilyFails(t *testing.T) {
	server := dnstest.New(t)
	group := Group{Host, "a.test"}
	r := NewResolver(server.Address)
	known := []Member{{Host: "127.0.0.8", Part: 0.5}, {Host: "::8", Part: 0.5}}
	for _, c := range []struct {
		records []string
		kind    uint16
		code    int
		want    string
	}{
		{[]string{"60 IN A 127.0.0.2"}, dns.TypeAAAA, dns.RcodeServerFailure, "127.0.0.2:=0.5 ::8:=0.5, incomplete: a.test: AAAA: the name server " + server.Address + " answers SERVFAIL"},
		{[]string{"60 IN AAAA ::2"}, dns.TypeA, dns.RcodeRefused, "127.0.0.8:=0.5 ::2:=0.5, incomplete: a.test: A: the name server " + server.Address + " answers REFUSED"},
		{[]string{"60 IN A 127.0.0.2"}, dns.TypeAAAA, dns.RcodeNameError, "127.0.0.2:=1, incomplete: <nil>"},
		{nil, dns.TypeAAAA, dns.RcodeServerFailure, "a.test: the name server " + server.Address + " answers SERVFAIL"},
		{nil, dns.TypeAAAA, dns.RcodeNameError, "a.test: the name has no addresses"},
	} {
		server.Set("a.test", c.records...)
		server.FailIf(c.code, ofType(c.kind))
		response, err := r.Resolve(t.Context(), group, known)
		got := fmt.Sprintf("%s, incomplete: %v", text(response.Members), response.Incomplete)
		if err != nil {
			got = err.Error()
		}
		if got != c.want || response.Incomplete != nil && response.TTL != minTTL {
			t.Errorf("%v %d: %s for %v, want %s", c.records, c.kind, got, response.TTL, c.want)
		}
	}
}

// The first of the names of search domains that exists counts. One for which servers fail is
// passed over, but the name is not called unknown then.
func TestSearchDomains(t *testing.T) {
	server := dnstest.New(t)
	server.Set("a.two.test", "60 IN A 127.0.0.2")
	server.Set("a.three.test", "60 IN A 127.0.0.3")
	server.Set("b", "60 IN A 127.0.0.4")
	server.FailIf(dns.RcodeServerFailure, func(q dns.Question) bool { return strings.HasSuffix(q.Name, ".one.test.") })
	r := NewResolver("")
	for _, c := range []struct {
		name, search, want string
	}{
		{"a", "zero.test two.test three.test", "[127.0.0.2]"},
		{"a", "one.test two.test three.test", "[127.0.0.2]"},
		{"b", "two.test one.test", "[127.0.0.4]"},
		{"c", "zero.test two.test", "the name does not exist"},
		{"c", "one.test two.test", "the name server " + server.Address + " answers SERVFAIL"},
		{"a.three.test", "one.test two.test", "[127.0.0.3]"},
	} {
		r.system = func() (*dns.ClientConfig, error) {
			host, port, err := net.SplitHostPort(server.Address)
			return &dns.ClientConfig{Servers: []string{host}, Port: port, Search: strings.Fields(c.search), Ndots: 1}, err
		}
		results, err := r.query(t.Context(), c.name, dns.TypeA, dns.TypeAAAA)
		var f found
		for _, one := range results {
			f.add(one.records)
		}
		var hosts []string
		for _, one := range f.members {
			hosts = append(hosts, one.Host)
		}
		got := fmt.Sprint(hosts)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.name, c.search, got, c.want)
		}
	}
}

func TestURLs(t *testing.T) {
	for _, c := range []struct{ text, group, member string }{
		{"dns+http://analyzers:9001", "{dns analyzers}", "http://10.0.0.1:9001"},
		{"DNS+https://Analyzers.:9001/base", "{dns analyzers}", "https://10.0.0.1:9001/base"},
		{"dns+http://analyzers", "{dns analyzers}", "http://10.0.0.1"},
		{"srv+http://_ingest._tcp.analyzers", "{srv _ingest._tcp.analyzers}", "http://10.0.0.1:7"},
		{"dns+otlp+http://analyzers:4318?gzip=on", "{dns analyzers}", "otlp+http://10.0.0.1:4318?gzip=on"},
		{"srv+http://_ingest._tcp.analyzers:80", "it must have no port", ""},
		{"dns+http://", "it must look like", ""},
		{"lease+http://..", "the name of the group must be", ""},
		{"lease+http://" + strings.Repeat("x", 65), "the name of the group must be", ""},
		{"dns+http://[fe80::1%25Eth0]:9001", "{dns fe80::1%Eth0}", "http://10.0.0.1:9001"},
	} {
		g, err := Parse(c.text)
		if err != nil {
			if !strings.Contains(err.Error(), c.group) {
				t.Errorf("%s: %v", c.text, err)
			}
			continue
		}
		m := Member{Host: "10.0.0.1"}
		if g.Kind == Service {
			m.Port = "7"
		}
		if fmt.Sprint(g) != c.group || m.URL(c.text) != c.member {
			t.Errorf("%s: %v, %s", c.text, g, m.URL(c.text))
		}
	}
	if _, _, found := Cut("http://analyzers:9001"); found {
		t.Error("a plain URL is a group")
	}
	v6 := Member{Host: "fd00::1"}
	if zoned := (Member{Host: "fe80::1%Eth0"}); zoned.URL("dns+http://a:1") != "http://[fe80::1%25Eth0]:1" || zoned.Name() != "fe80--1-Eth0" {
		t.Errorf("%s, %s", zoned.URL("dns+http://a:1"), zoned.Name())
	}
	if v6.URL("dns+http://a:1") != "http://[fd00::1]:1" || v6.Name() != "fd00--1" || (Member{Host: "b_1.test", Port: "7"}).Name() != "b-1.test-7" {
		t.Errorf("%s, %s", v6.URL("dns+http://a:1"), v6.Name())
	}
}

// watch returns a watcher, and a function that awaits a change.
func watch(t *testing.T, server *dnstest.Server) (w *Watcher, next func(want string)) {
	changes := make(chan string)
	w = NewWatcher(NewResolver(server.Address), func(c Change) {
		word := "ok"
		if c.Err != nil {
			word = "failing"
		}
		changes <- fmt.Sprintf("%s %s, has %s", word, text(c.Members), text(w.Members(c.Group)))
	})
	return w, func(want string) {
		t.Helper()
		if got := <-changes; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWatcher(t *testing.T) {
	server := dnstest.New(t)
	group := Group{Host, "a.test"}
	w, next := watch(t, server)
	server.Set("a.test", "60 IN A 127.0.0.2")
	w.Resolve(t.Context(), []Group{group, {Host, "unknown.test"}})
	if got := text(w.Members(group)); got != "127.0.0.2:=1" {
		t.Fatalf("the members are %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var ends sync.WaitGroup
	defer ends.Wait()
	resolved := server.Queries()
	w.Watch(ctx, []Group{group})
	if w.Members(Group{Host, "unknown.test"}) != nil {
		t.Error("a group that is not watched is known")
	}
	for server.Queries() < resolved+2 { // of Watch itself, which must not see what follows
		runtime.Gosched()
	}
	server.Set("a.test", "60 IN A 127.0.0.2", "60 IN A 127.0.0.3")
	w.Refresh()
	next("ok 127.0.0.2:=0.5 127.0.0.3:=0.5, has 127.0.0.2:=0.5 127.0.0.3:=0.5")
	server.Set("a.test")
	w.Refresh()
	next("failing , has 127.0.0.2:=0.5 127.0.0.3:=0.5")
	server.Fail(dns.RcodeServerFailure)
	before, _ := w.Failures()
	w.Refresh() // the transition was reported
	for none := before; none == before; none, _ = w.Failures() {
		runtime.Gosched()
	}
	server.FailIf(dns.RcodeServerFailure, ofType(dns.TypeAAAA))
	server.Set("a.test", "60 IN A 127.0.0.3")
	w.Refresh()
	next("failing 127.0.0.3:=1, has 127.0.0.3:=1")
	server.Fail(dns.RcodeSuccess)
	server.Set("a.test", "60 IN A 127.0.0.3", "60 IN A 127.0.0.2")
	w.Refresh()
	next("ok 127.0.0.2:=0.5 127.0.0.3:=0.5, has 127.0.0.2:=0.5 127.0.0.3:=0.5")
	if none, partial := w.Failures(); none < 3 || partial < 1 {
		t.Errorf("%d queries without a response, %d with half of one", none, partial)
	}
	w.Watch(ctx, nil)
	w.Watch(ctx, []Group{group})
	next("ok 127.0.0.2:=0.5 127.0.0.3:=0.5, has 127.0.0.2:=0.5 127.0.0.3:=0.5")
	cancel()
	w.Wait()
}

// The number of members beyond the maximum is reported when it changes, even if those used stay the same.
func TestMembersBeyondTheMaximum(t *testing.T) {
	server := dnstest.New(t)
	group := Group{Host, "a.test"}
	changes := make(chan string)
	w := NewWatcher(NewResolver(server.Address), func(c Change) {
		changes <- fmt.Sprintf("%d members, %d beyond, %v", len(c.Members), c.Beyond, c.Err)
	})
	server.Set("a.test", addresses(maxMembers+2)...)
	w.Resolve(t.Context(), []Group{group})
	ctx, cancel := context.WithCancel(t.Context())
	w.Watch(ctx, []Group{group})
	for _, one := range []struct {
		records []string
		want    string
	}{
		{nil, "0 members, 2 beyond, <nil>"},
		{addresses(maxMembers + 7), "0 members, 7 beyond, <nil>"},
		{addresses(maxMembers), "0 members, 0 beyond, <nil>"},
		{addresses(1), "1 members, 0 beyond, <nil>"},
	} {
		if one.records != nil {
			server.Set("a.test", one.records...)
			w.Refresh()
		}
		if got := <-changes; got != one.want {
			t.Errorf("%q, want %q", got, one.want)
		}
	}
	cancel()
	w.Wait()
}
