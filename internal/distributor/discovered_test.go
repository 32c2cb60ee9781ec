package distributor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/discovery/dnstest"
)

const service = "_ingest._tcp.test"

// pool is a service in DNS whose servers are analyzers.
type pool struct {
	*dnstest.Server
	t         *testing.T
	analyzers []*analyzertest.Analyzer
}

func newPool(t *testing.T, size int) *pool {
	p := &pool{Server: dnstest.New(t), t: t}
	for range size {
		p.analyzers = append(p.analyzers, analyzertest.New(t))
	}
	return p
}

// scale makes the first n analyzers the members.
func (p *pool) scale(n int) {
	p.t.Helper()
	var records []string
	for _, a := range p.analyzers[:n] {
		_, port, err := net.SplitHostPort(a.Address())
		if err != nil {
			p.t.Fatal(err)
		}
		records = append(records, fmt.Sprintf("60 IN SRV 0 1 %s localhost.", port))
	}
	p.Set(service, records...)
}

func (p *pool) config(t *testing.T, others ...Target) Config {
	config := quick(t, append([]Target{{ID: "pool", URL: "srv+http://" + service, Weight: 0.5}}, others...)...)
	config.NameServer = p.Address
	config.Analyzer.MaxFailures = 1000
	return config
}

// rescale changes the members and waits until the distributor has them.
func (p *pool) rescale(s *system, n int) {
	p.t.Helper()
	p.scale(n)
	s.RefreshGroups()
	until(p.t, fmt.Sprintf("the group has %d members", n), func() bool { return len(s.ofGroup("pool")) == n && s.eligible() == len(s.present()) })
}

// A group grows from 1 to 20 members and shrinks to 2 under load: no packet is lost or
// refused, and the other analyzer keeps its share.
func TestGroupUnderLoad(t *testing.T) {
	p := newPool(t, 20)
	p.scale(1)
	other := analyzertest.New(t)
	settings := p.config(t, Target{ID: "other", URL: other.URL(), Weight: 0.5})
	settings.DrainTimeout = time.Minute
	s := startAlone(t, settings)
	var mu sync.Mutex
	var left []string
	var proofs []DrainProof
	s.onRemoved = func(id, _ string, proof DrainProof) {
		mu.Lock()
		defer mu.Unlock()
		left, proofs = append(left, id), append(proofs, proof)
	}
	until(t, "all are healthy", func() bool { return s.eligible() == 2 })
	end := s.load(4, true)
	defer end()
	for n := 2; n <= 20; n += 3 {
		p.rescale(s, n)
		checkGroup(t, s, n)
	}
	for n := 20; n >= 2; n -= 6 {
		p.rescale(s, n)
		checkGroup(t, s, n)
	}
	end()
	until(t, "all is delivered, and all have left", func() bool {
		status := s.Status()
		return status.Delivered == status.Accepted && len(status.Leaving) == 0
	})
	s.onlyAccepted(t)
	s.stop(t)
	s.nothingLost(t, append(p.analyzers, other)...)
	if len(left) != 18 || slices.Contains(left, "pool") {
		t.Errorf("%v have left", left)
	}
	for _, proof := range proofs {
		checkProof(t, proof)
	}
	if share := s.shareOf("other"); math.Abs(share-0.5) > 0.02 {
		t.Errorf("the share of the other analyzer is %v", share)
	}
}

// checkGroup checks that the weight of the group is that of its members together.
func checkGroup(t *testing.T, s *system, members int) {
	t.Helper()
	sum := 0.0
	for _, a := range s.ofGroup("pool") {
		sum += a.target.Weight
		if !strings.HasPrefix(a.ID(), "pool-localhost-") {
			t.Errorf("a member is %q", a.ID())
		}
	}
	if math.Abs(sum-0.5) > 1e-9 {
		t.Errorf("%d members have the weight %v together", members, sum)
	}
}

// The members stay when the group cannot be resolved, or when its response is empty.
func TestGroupThatCannotBeResolved(t *testing.T) {
	p := newPool(t, 2)
	p.scale(2)
	s := startAlone(t, p.config(t))
	reports := make(chan Discovery, 10)
	s.onDiscovery = func(d Discovery) { reports <- d }
	until(t, "all are healthy", func() bool { return s.eligible() == 2 })
	p.Set(service)
	s.RefreshGroups()
	if report := <-reports; report.Group != "pool" || report.Err == nil || len(report.Members) != 2 {
		t.Errorf("%+v", report)
	}
	p.Fail(dns.RcodeServerFailure)
	s.RefreshGroups()
	if status, _, _ := s.send(1); status != http.StatusAccepted || len(s.present()) != 2 {
		t.Errorf("%d, %d members", status, len(s.present()))
	}
	p.Fail(dns.RcodeSuccess)
	p.scale(1)
	s.RefreshGroups()
	for report := range reports {
		if report.Err == nil && len(report.Members) == 1 {
			break
		}
	}
	until(t, "one analyzer is left", func() bool { return len(s.present()) == 1 })
}

// The hosts of a service are names of the name server that lists it, for analyzers and for backends.
func TestHostsOfAService(t *testing.T) {
	p := newPool(t, 1)
	_, port, err := net.SplitHostPort(p.analyzers[0].Address())
	if err != nil {
		t.Fatal(err)
	}
	p.Set(service, fmt.Sprintf("60 IN SRV 0 1 %s one.members.test.", port))
	p.Set("one.members.test", "60 IN A 127.0.0.1")
	s := startAlone(t, p.config(t, Target{ID: "logs", URL: "srv+vlogs+http://" + service, Weight: 0.5}))
	for _, group := range []string{"pool", "logs"} {
		until(t, group+" is reached", func() bool { return isReached(s, group) })
	}
}

// isReached reports whether the member of a group responds to probes, in whatever way.
func isReached(s *system, group string) bool {
	members := s.ofGroup(group)
	return len(members) == 1 && (members[0].Healthy() || strings.Contains(members[0].Cause(), "the probe was answered"))
}

// A group that is unknown at the start is found later. A drain and the removal of a group apply to
// all of its members.
func TestDrainAndRemovalOfGroup(t *testing.T) {
	p := newPool(t, 3)
	other := analyzertest.New(t)
	s := startAlone(t, p.config(t, Target{ID: "other", URL: other.URL(), Weight: 0.5}))
	removed := make(chan string, 10)
	s.onRemoved = func(id, _ string, proof DrainProof) {
		checkProof(t, proof)
		removed <- id
	}
	until(t, "the other one is healthy", func() bool { return s.eligible() == 1 })
	p.rescale(s, 3)
	s.send(1, 2, 3, 4, 5, 6)
	s.setState(t, "pool", StateDrain)
	proof, err := s.Drain(t.Context(), "pool", time.Now().Add(time.Minute))
	if err != nil || proof.Remaining != 0 || proof.Result != Drained {
		t.Errorf("%+v, %v", proof, err)
	}
	if err := s.reconfigure(t, func(c *Config) { c.remove("pool") }); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range 4 {
		ids = append(ids, <-removed)
	}
	if ids[3] != "pool" {
		t.Errorf("%v were removed", ids)
	}
}

// The proof of a group includes the proofs of all members, even if they leave at the same time.
func TestProofOfAGroup(t *testing.T) {
	s := startSystem(t, quick(t, Target{ID: "a", URL: analyzertest.New(t).URL(), Weight: 1}))
	s.configMu.Lock()
	s.groupLeaves("pool")
	s.groupLeaves("pool")
	s.configMu.Unlock()
	one := DrainProof{Delivered: 1}
	if _, ended := s.groupLeft("pool", one); ended { // the other member has left, too
		t.Error("the group has left before its last member")
	}
	if whole, ended := s.groupLeft("pool", one); !ended || whole.Delivered != 2 || len(s.leavingGroups) != 0 {
		t.Errorf("%+v, %v", whole, ended)
	}
}

func TestMemberID(t *testing.T) {
	if id := memberID("pool", "10.0.0.1"); id != "pool-10.0.0.1" {
		t.Error(id)
	}
	a, b := memberID("pool", strings.Repeat("a", 80)+"1"), memberID("pool", strings.Repeat("a", 80)+"2")
	if len(a) != maxIDLen || a == b {
		t.Errorf("%q and %q", a, b)
	}
}

// A group that changes while a handover is tried, which fails, has its new members thereafter.
func TestGroupChangesDuringHandover(t *testing.T) {
	p := newPool(t, 2)
	p.scale(1)
	s := startSystem(t, p.config(t))
	until(t, "the first is healthy", func() bool { return s.eligible() == 1 })
	p.analyzers[0].Behave(analyzertest.Behaviour{Hang: true})
	s.send(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() {
		_, err := s.Handover(ctx)
		ended <- err
	}()
	until(t, "the handover has begun", func() bool { return errors.Is(s.CheckConfig(s.Config()), ErrStopping) })
	p.scale(2)
	s.RefreshGroups()
	group := s.Config().Targets.groups()[0]
	until(t, "the change is known", func() bool { return len(s.discovery.Members(group)) == 2 })
	cancel()
	if err := <-ended; !errors.Is(err, ErrUndelivered) {
		t.Fatal(err)
	}
	p.analyzers[0].Behave(analyzertest.Behaviour{})
	until(t, "the group has 2 members", func() bool { return len(s.ofGroup("pool")) == 2 })
}
