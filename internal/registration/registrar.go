// Package registration registers an analyzer at distributors: it holds a lease at the admin API
// of each, renews it, and ends it at a clean stop, when it waits for the drain.
package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

const (
	// requestTimeout bounds a registration and a renewal.
	requestTimeout = 3 * time.Second
	// drainDeadline is after how long a stop lets the distributor reroute what this analyzer
	// still has, and leaveTimeout after how long it waits no longer for the distributor. Both
	// are within the ten seconds that container runtimes give a process to stop.
	drainDeadline = 6 * time.Second
	leaveTimeout  = 9 * time.Second
	// minBackoff and maxBackoff bound the wait after a request that failed.
	minBackoff, maxBackoff = time.Second, 10 * time.Second
	// minRenewal bounds the time between renewals.
	minRenewal = 100 * time.Millisecond
)

// Registrar registers one analyzer. It is used once.
type Registrar struct {
	config  Config
	address netip.AddrPort // where the analyzer listens
	id      string
	logger  *slog.Logger
	clients []*adminclient.Client
}

// New returns a Registrar of an analyzer that listens on an address. It makes no request.
func New(config Config, address netip.AddrPort, logger *slog.Logger) (*Registrar, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	r := &Registrar{config: config, address: address, id: config.ID, logger: logger.With("component", "registration")}
	if r.id == "" {
		r.id = defaultID(address.Port())
	}
	for _, one := range config.Distributors {
		client, err := adminclient.New(config.client(one))
		if err != nil {
			return nil, fmt.Errorf("REGISTER: %s: %w", one, err)
		}
		r.clients = append(r.clients, client)
	}
	return r, nil
}

var notInID = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// defaultID returns an id that no other analyzer of the network has.
func defaultID(port uint16) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "analyzer"
	}
	const maxHost = 64 - len("-65535")
	host = notInID.ReplaceAllString(host, "-")
	return fmt.Sprintf("%s-%d", host[:min(len(host), maxHost)], port)
}

// Run registers at each distributor, and renews that until ctx ends. Then it leaves, and
// returns when the analyzer gets no more packets, or after leaveTimeout.
func (r *Registrar) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, client := range r.clients {
		m := &membership{Registrar: r, client: client, logger: r.logger.With("distributor", client.Name(), "id", r.id)}
		running.Go(func() {
			defer client.Close()
			m.renewUntil(ctx)
			m.leave(context.WithoutCancel(ctx))
		})
	}
	running.Wait()
}

// membership is the registration at one distributor.
type membership struct {
	*Registrar
	client   *adminclient.Client
	logger   *slog.Logger
	granted  bool // ever
	failures int  // since the last success
}

// renewUntil registers, and renews that, until ctx ends. A request that is under way is not
// canceled, since it could be served after the one that ends the lease.
func (m *membership) renewUntil(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(m.renew(context.WithoutCancel(ctx)))
		}
	}
}

// renew registers or renews that, and returns when to do it again.
func (m *membership) renew(ctx context.Context) time.Duration {
	ttl, created, err := m.put(ctx)
	if err != nil {
		if m.failures++; m.failures == 1 {
			m.logger.Error("this analyzer cannot register, and continues trying", "error", err)
		}
		backoff := min(maxBackoff, minBackoff<<min(m.failures-1, 10))
		return backoff/2 + rand.N(backoff/2) //nolint:gosec // no secret
	}
	if created || m.failures > 0 {
		m.logger.Info("this analyzer is registered", "ttl", ttl)
	}
	m.granted, m.failures = true, 0
	return max(ttl/3, minRenewal)
}

// put makes the request.
func (m *membership) put(ctx context.Context) (ttl time.Duration, created bool, err error) {
	advertised, err := m.advertised(ctx)
	if err != nil {
		return 0, false, err
	}
	body := map[string]any{"url": advertised, "weight": m.config.Weight}
	if m.config.Group != "" {
		body["group"] = m.config.Group
	}
	response, err := m.client.Do(ctx, adminclient.Request{Method: http.MethodPut, Path: m.path(), Body: body})
	if err != nil {
		return 0, false, err
	}
	var granted adminapi.Lease
	if err := response.Decode(&granted); err != nil {
		return 0, false, err
	}
	return time.Duration(granted.TTL), response.Status == http.StatusCreated, nil
}

func (m *membership) path() string { return "/v1/leases/" + m.id }

// advertised returns the URL at which the distributor reaches the analyzer.
func (m *membership) advertised(ctx context.Context) (string, error) {
	if m.config.Advertise != "" {
		return m.config.Advertise, nil
	}
	ip := m.address.Addr()
	if ip.IsUnspecified() {
		var err error
		if ip, err = localAddress(ctx, m.client.Name()); err != nil {
			return "", fmt.Errorf("the address of this machine is not known: %w; set REGISTER_ADVERTISE", err)
		}
	}
	return "http://" + netip.AddrPortFrom(ip.Unmap().WithZone(""), m.address.Port()).String(), nil
}

// localAddress returns the address from which packets to a server are sent. It sends none. That
// of a Unix socket is loopback.
func localAddress(ctx context.Context, server string) (address netip.Addr, err error) {
	host, _, _ := net.SplitHostPort(server) // HOST:PORT
	if base, err := url.Parse(server); err == nil && strings.Contains(server, "://") {
		host = base.Hostname()
	}
	if strings.HasPrefix(server, "unix:") || host == "" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "udp", net.JoinHostPort(host, "9"))
	if err != nil {
		return address, err
	}
	defer func() { _ = conn.Close() }()
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return local.Addr(), err
}

// leave ends the lease and waits for the end of the drain.
func (m *membership) leave(ctx context.Context) {
	if !m.granted {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, leaveTimeout, fmt.Errorf("no answer in %v", leaveTimeout))
	defer cancel()
	response, err := m.client.Do(ctx, adminclient.Request{
		Method: http.MethodDelete, Path: m.path(), Wait: leaveTimeout,
		Query: url.Values{"deadline": {drainDeadline.String()}, "wait": {leaveTimeout.String()}, "reason": {"the analyzer stops"}},
	})
	var refused *adminclient.Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return // the lease is lost
	}
	var ended adminapi.EndedLease
	if err == nil {
		err = response.Decode(&ended)
	}
	if err != nil {
		m.logger.Warn("this analyzer stops without being drained; the distributor detects its end by its probes", "error", err)
		return
	}
	var drain adminapi.Drain
	var proof adminapi.DrainProof
	if ended.Drain != nil {
		drain = *ended.Drain
	}
	if drain.Proof != nil {
		proof = *drain.Proof
	}
	m.logger.Info("this analyzer has left", "running", drain.Running, "result", proof.Result, "delivered", proof.Delivered, "rerouted", proof.Rerouted)
}
