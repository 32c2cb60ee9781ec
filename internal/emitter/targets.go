package emitter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/filewatch"
	"github.com/logstreamer/logstreamer/internal/rendezvous"
	"github.com/logstreamer/logstreamer/internal/worker"
)

const (
	// holdTime is the time for which a failing target is skipped before one packet tries it.
	holdTime = time.Second
	// resolveInterval is the time between two look-ups of a dns+http target.
	resolveInterval = 5 * time.Second
	// resolveTimeout bounds one look-up.
	resolveTimeout = 5 * time.Second
	// maxTargets bounds the addresses of a dns+http target that are used.
	maxTargets = 256
)

// Resolver looks up the addresses of a dns+http target. net.Resolver implements it.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// targets chooses the distributor of each packet: the first one in its emitter's order that
// is not failing. Safe for concurrent use.
type targets struct {
	logger    *slog.Logger
	emitterID string
	token     string
	tls       *certificate.Client
	// files reads TLS files again.
	files *filewatch.Watcher
	// resolved is the URL of a dns+http target, or nil.
	resolved *url.URL
	resolver Resolver
	// unresolved is set since the last look-up failed; only resolve uses it.
	unresolved bool

	mu      sync.Mutex
	members []*target // in no order
	order   []*target // in the order of emitterID
}

func newTargets(config Config, resolver Resolver, logger *slog.Logger) (*targets, error) {
	urls, dns, err := parseTargets(config.Target)
	if err != nil {
		return nil, err
	}
	t := &targets{logger: logger, emitterID: config.EmitterID, token: config.Token, resolver: resolver}
	if t.files, err = filewatch.New(logger, nil); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(urls, func(u *url.URL) bool { return u.Scheme == "https" }) {
		store, err := certificate.NewStore(t.files, nil)
		if err != nil {
			return nil, err
		}
		if t.tls, err = store.Client("target", "TARGET_", config.TLS); err != nil {
			return nil, err
		}
	}
	if dns {
		t.resolved = urls[0]
		return t, nil
	}
	for _, u := range urls {
		t.members = append(t.members, newTarget(u, netip.Addr{}, t.tls, logger))
	}
	t.order = orderOf(t.members, t.emitterID)
	return t, nil
}

// orderOf returns the members in an emitter's order.
func orderOf(members []*target, emitterID string) []*target {
	nodes := make([]rendezvous.Node, len(members))
	for i, m := range members {
		nodes[i] = rendezvous.Node{Name: m.name, Weight: 1}
	}
	ordered := make([]*target, len(members))
	for i, at := range rendezvous.Order(nodes, emitterID) {
		ordered[i] = members[at]
	}
	return ordered
}

// run reads TLS files again and looks up addresses until ctx is done.
func (t *targets) run(ctx context.Context) {
	var tasks sync.WaitGroup
	tasks.Go(func() { t.files.Run(ctx) })
	if t.resolved != nil {
		tasks.Go(func() {
			for t.resolve(ctx); worker.Sleep(ctx, resolveInterval); {
				t.resolve(ctx)
			}
		})
	}
	tasks.Wait()
}

// resolve replaces the members with the addresses of the name, or keeps them when there are
// none. Members that remain keep their state.
func (t *targets) resolve(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	host := t.resolved.Hostname()
	addresses, err := t.resolver.LookupNetIP(bounded, "ip", host)
	if err == nil && len(addresses) == 0 {
		err = errors.New("the answer has no address")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil && !t.unresolved {
			t.unresolved = true
			t.logger.Warn("the target's name cannot be resolved; the last addresses stay", "host", host, "targets", len(t.members), "reason", err)
		}
		return
	}
	if t.unresolved {
		t.unresolved = false
		t.logger.Info("the target's name is resolved again", "host", host)
	}
	t.replace(addresses)
}

// replace is called with mu held.
func (t *targets) replace(addresses []netip.Addr) {
	var next []*target
	for _, address := range addresses {
		made := newTarget(t.resolved, address, t.tls, t.logger)
		named := func(m *target) bool { return m.name == made.name }
		if slices.ContainsFunc(next, named) || len(next) == maxTargets {
			continue
		}
		if i := slices.IndexFunc(t.members, named); i >= 0 {
			made = t.members[i]
		}
		next = append(next, made)
	}
	slices.SortFunc(next, func(a, b *target) int { return strings.Compare(a.name, b.name) })
	if !slices.Equal(next, t.members) {
		t.members, t.order = next, orderOf(next, t.emitterID)
		t.logger.Info("the target's name has other addresses", "host", t.resolved.Hostname(), "targets", namesOf(next))
	}
}

func namesOf(members []*target) (names []string) {
	for _, m := range members {
		names = append(names, m.name)
	}
	return names
}

// errUnresolved is returned for a packet while no address is known.
var errUnresolved = fmt.Errorf("%w: no address of the target is known", errConnect)

// pick returns the target of an emitter's next packet: the first in its order that is not failing
// or that may be tried now, otherwise the target that may be tried first; nil if there is no
// target.
func (t *targets) pick(emitterID string) *target {
	t.mu.Lock()
	defer t.mu.Unlock()
	order := t.order
	if emitterID != t.emitterID && len(t.members) > 1 {
		order = orderOf(t.members, emitterID)
	}
	if len(order) == 0 {
		return nil
	}
	now := time.Now()
	soonest := order[0]
	for _, m := range order {
		if !m.failing {
			return m
		}
		if !m.heldUntil.After(now) {
			m.heldUntil = now.Add(holdTime) // this packet tries the target
			return m
		}
		if m.heldUntil.Before(soonest.heldUntil) {
			soonest = m
		}
	}
	return soonest
}

// fail records that a target, which may be nil, did not accept a packet, and reports whether
// another target may accept it. An emitter over its rate limit is so at every target.
func (t *targets) fail(m *target, result attemptResult) (elsewhere bool) {
	if m == nil {
		return false
	}
	m.outage.fail(result.reason)
	if result.cause == causeRateLimited {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	m.failing, m.heldUntil = true, time.Now().Add(max(holdTime, result.retryAfter))
	return slices.ContainsFunc(t.members, func(other *target) bool { return !other.failing })
}

// succeed records that a target accepted a packet.
func (t *targets) succeed(m *target) {
	m.outage.succeed()
	t.mu.Lock()
	defer t.mu.Unlock()
	m.failing = false
}
