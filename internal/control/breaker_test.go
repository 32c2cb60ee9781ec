package control

import (
	"net"
	"testing"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/discovery/dnstest"
)

// A member of a group in DNS has a breaker of its own, and the group has none.
func TestBreakerOfDiscoveredMember(t *testing.T) {
	r := prepare(t)
	names := dnstest.New(t)
	_, port, err := net.SplitHostPort(r.analyzers[0].Address())
	if err != nil {
		t.Fatal(err)
	}
	names.Set("_ingest._tcp.test", "60 IN SRV 0 1 "+port+" localhost.")
	r.write("analyzers: [{id: pool, url: 'srv+http://_ingest._tcp.test', weight: 1}]\ndiscovery_dns: " + names.Address + "\n")
	r.open()
	until(t, "the group has a member", func() bool { return len(r.Distributor().Status().Analyzers) == 1 })
	id := r.Distributor().Status().Analyzers[0].ID
	r.mustSucceed(r.Breaker(operator, id, breakerOpen))
	if got := r.Distributor().Status().Analyzers[0].Breaker.State; got != breaker.Open {
		t.Errorf("the breaker of %s is %v", id, got)
	}
	r.wantRefused(Conflict)(r.Breaker(operator, "pool", breakerOpen))
	r.wantRefused(NotFound)(r.Breaker(operator, "nobody", breakerOpen))
}
