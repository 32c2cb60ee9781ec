package discovery

import (
	"context"
	"fmt"
	"math"
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

func TestResolve(t *testing.T) {
	server := dnstest.New(t)
	server.Set("a.test", "60 IN A 127.0.0.3", "30 IN A 127.0.0.2", "60 IN A 127.0.0.2", "600 IN AAAA ::1")
	server.Set("none.test")
	server.Set("short.test", "0 IN A 127.0.0.2")
	server.Set("long.test", "86400 IN A 127.0.0.2")
	server.Set("_s._tcp.test", "60 IN SRV 1 30 9001 b.test.", "60 IN SRV 1 10 9002 b.test.", "60 IN SRV 2 100 9003 c.test.")
	server.Set("_none._tcp.test", "60 IN SRV 0 0 0 .")
	server.Set("_even._tcp.test", "60 IN SRV 0 0 1 a.test.", "60 IN SRV 0 0 2 a.test.")
	many := make([]string, 2*maxMembers)
	for i := range many {
		many[i] = fmt.Sprintf("60 IN A 10.0.%d.%d", i/256, i%256)
	}
	server.Set("many.test", many...)
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
		{Group{Service, "_s._tcp.test"}, "b.test:9001=0.75 b.test:9002=0.25", time.Minute},
		{Group{Service, "_even._tcp.test"}, "a.test:1=0.5 a.test:2=0.5", time.Minute},
		{Group{Service, "_none._tcp.test"}, "_none._tcp.test: the name has no addresses", 0},
	} {
		members, ttl, err := r.Resolve(t.Context(), c.group)
		got := text(members)
		if err != nil {
			got = err.Error()
		}
		if got != c.want || ttl != c.ttl {
			t.Errorf("%v: %s for %v, want %s for %v", c.group, got, ttl, c.want, c.ttl)
		}
	}
	// The answer does not fit into a datagram, so that it is asked for by TCP.
	members, _, err := r.Resolve(t.Context(), Group{Host, "many.test"})
	if err != nil || len(members) != maxMembers || math.Abs(members[0].Part*maxMembers-1) > 1e-9 {
		t.Errorf("%d members, %v", len(members), err)
	}
	server.Fail(dns.RcodeServerFailure)
	if _, _, err := r.Resolve(t.Context(), Group{Host, "a.test"}); err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
		t.Errorf("a server that fails: %v", err)
	}
	server.Hush()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := r.Resolve(ctx, Group{Host, "a.test"}); err == nil {
		t.Error("a server that is silent gives an answer")
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
	if v6.URL("dns+http://a:1") != "http://[fd00::1]:1" || v6.Name() != "fd00--1" || (Member{Host: "b_1.test", Port: "7"}).Name() != "b-1.test-7" {
		t.Errorf("%s, %s", v6.URL("dns+http://a:1"), v6.Name())
	}
}

func TestWatcher(t *testing.T) {
	server := dnstest.New(t)
	group := Group{Host, "a.test"}
	changes := make(chan string)
	var w *Watcher
	w = NewWatcher(NewResolver(server.Address), func(c Change) {
		word := "ok"
		if c.Err != nil {
			word = "failing"
		}
		changes <- fmt.Sprintf("%s %s, has %s", word, text(c.Members), text(w.Members(c.Group)))
	})
	next := func(want string) {
		t.Helper()
		if got := <-changes; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	server.Set("a.test", "60 IN A 127.0.0.2")
	w.Resolve(t.Context(), []Group{group, {Host, "unknown.test"}})
	if got := text(w.Members(group)); got != "127.0.0.2:=1" {
		t.Fatalf("the members are %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var ends sync.WaitGroup
	defer ends.Wait()
	w.Watch(ctx, []Group{group})
	if w.Members(Group{Host, "unknown.test"}) != nil {
		t.Error("a group that is not watched is known")
	}
	server.Set("a.test", "60 IN A 127.0.0.2", "60 IN A 127.0.0.3")
	w.Refresh()
	next("ok 127.0.0.2:=0.5 127.0.0.3:=0.5, has 127.0.0.2:=0.5 127.0.0.3:=0.5")
	server.Set("a.test")
	w.Refresh()
	next("failing , has 127.0.0.2:=0.5 127.0.0.3:=0.5")
	server.Fail(dns.RcodeServerFailure)
	w.Refresh() // the transition was reported
	for before := server.Queries(); server.Queries() == before; runtime.Gosched() {
	}
	server.Fail(dns.RcodeSuccess)
	server.Set("a.test", "60 IN A 127.0.0.3", "60 IN A 127.0.0.2")
	w.Refresh()
	next("ok , has 127.0.0.2:=0.5 127.0.0.3:=0.5")
	w.Watch(ctx, nil)
	w.Watch(ctx, []Group{group})
	next("ok 127.0.0.2:=0.5 127.0.0.3:=0.5, has 127.0.0.2:=0.5 127.0.0.3:=0.5")
	cancel()
	w.Wait()
}
