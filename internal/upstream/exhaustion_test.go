package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// dialError returns the error of the standard library for a failed dial.
func dialError(call string, errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError(call, errno)}
}

// A lack of descriptors, ports or memory is a failure neither of the analyzer nor of the
// packet. Dials are rate limited, counted, and logged once.
func TestExhaustionIsNoFailure(t *testing.T) {
	for _, lack := range []error{
		dialError("socket", syscall.EMFILE), dialError("socket", syscall.ENFILE), dialError("socket", syscall.ENOBUFS),
		dialError("socket", syscall.ENOMEM), dialError("connect", syscall.EADDRNOTAVAIL),
		&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "dial udp 127.0.0.11:53: socket: " + syscall.EMFILE.Error(), Name: "one"}},
	} {
		t.Run(lack.Error(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var short atomic.Bool
				var dials atomic.Int64
				analyzer := newFakeAnalyzer(always(ok))
				analyzer.health = ndjsonHealth
				config := testConfig()
				config.ProbeInterval, config.MaxFailures = time.Second, 2
				b := prepare(t, config, func(ctx context.Context, network, address string) (net.Conn, error) {
					dials.Add(1)
					if short.Load() {
						return nil, lack
					}
					return analyzer.dial(ctx, network, address)
				})
				log := new(logBuffer)
				b.exhaustion.logger = slog.New(slog.NewTextHandler(log, nil))
				b.Start(t.Context())
				short.Store(true)
				before := dials.Load()
				const sends = 20
				for i := range sends {
					b.Offer(b.packets.some(t, 1))
					b.settler.await(t, i+1)
				}
				time.Sleep(10 * time.Second)
				if b.settler.count("returned") != sends || b.settler.returnedTried() != 0 || b.settler.troubleOf(1) != nil {
					t.Errorf("the packets were %v, %d are Tried, recorded: %+v", b.settler.summary(), b.settler.returnedTried(), b.settler.troubleOf(1))
				}
				if !b.Healthy() || b.Health() != "healthy" {
					t.Errorf("the analyzer is %s", b.Health())
				}
				if !b.epoch.acceptsNDJSON() {
					t.Error("the capability epoch advanced")
				}
				if b.failures(reasonResources) != sends || b.failures(reasonConnect) != 0 {
					t.Errorf("%v and %v failures", b.failures(reasonResources), b.failures(reasonConnect))
				}
				if got := testutil.ToFloat64(b.metrics.probes[probeFailed]); got != 0 {
					t.Errorf("%v probes failed", got)
				}
				// 20 packets take two seconds; probes are sent each second.
				if got := dials.Load() - before; got < sends+10 || got > sends+15 {
					t.Errorf("%d dials", got)
				}
				if got := log.count("cannot be opened"); got != 1 {
					t.Errorf("it is logged %d times", got)
				}
				short.Store(false)
				b.Offer(b.packets.some(t, 1))
				b.settler.await(t, sends+1)
				time.Sleep(exhaustionCooldown + 2*time.Second)
				if b.settler.count("delivered") != 1 || log.count("can be opened again") != 1 || log.count("cannot be opened") != 1 {
					t.Errorf("afterwards: %v; %s", b.settler.summary(), log)
				}
			})
		})
	}
}

// An analyzer that was never reached is unhealthy, whatever the reason, until a probe
// succeeds.
func TestExhaustionAtStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var dials atomic.Int64
		analyzer := newFakeAnalyzer(always(ok))
		b := start(t, testConfig(), func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials.Add(1) <= 5 {
				return nil, dialError("socket", syscall.EMFILE)
			}
			return analyzer.dial(ctx, network, address)
		})
		if b.Healthy() {
			t.Fatal("an analyzer that never answered a probe is healthy")
		}
		began := time.Now()
		b.settler.until(t, "it is half-open", b.Healthy)
		if took := time.Since(began); took > 10*time.Second || dials.Load() > 10 {
			t.Errorf("its recovery was detected after %v and %d dials", took, dials.Load())
		}
	})
}

// Open connections are used during an exhaustion.
func TestExhaustionKeepsOpenConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var short atomic.Bool
		analyzer := newFakeAnalyzer(always(ok))
		b := start(t, testConfig(), func(ctx context.Context, network, address string) (net.Conn, error) {
			if short.Load() {
				return nil, dialError("socket", syscall.EMFILE)
			}
			return analyzer.dial(ctx, network, address)
		})
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 1)
		short.Store(true)
		time.Sleep(5 * b.config.ProbeInterval)
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 2)
		if b.settler.count("delivered") != 2 {
			t.Errorf("outcomes: %v", b.settler.summary())
		}
	})
}

// EADDRNOTAVAIL means exhaustion of ports only for an address that succeeded before.
func TestAddressExhaustion(t *testing.T) {
	lack, refused := dialError("connect", syscall.EADDRNOTAVAIL), dialError("connect", syscall.ECONNREFUSED)
	six, four := "[::1]:80", "127.0.0.1:80"
	for _, test := range []struct {
		name   string
		worked string // "" for none
		errs   map[string]error
		want   bool
	}{
		{"no IPv6, never succeeded", "", map[string]error{six: lack, four: refused}, false},
		{"no IPv6, and only IPv6 addresses", "", map[string]error{six: lack, four: lack}, false},
		{"no ports", four, map[string]error{six: refused, four: lack}, true},
		{"no ports for either", four, map[string]error{six: lack, four: lack}, true},
		{"dead, and no IPv6", four, map[string]error{six: lack, four: refused}, false},
		{"dead", four, map[string]error{six: refused, four: refused}, false},
		{"no descriptors", "", map[string]error{six: dialError("socket", syscall.EMFILE), four: dialError("socket", syscall.EMFILE)}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			near, _ := net.Pipe()
			working := test.worked
			a := &addresses{
				lookup: func(context.Context, string, string) ([]netip.Addr, error) {
					return []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1")}, nil
				},
				dial: func(_ context.Context, _, address string) (net.Conn, error) {
					if address == working {
						return near, nil
					}
					return nil, test.errs[address]
				},
			}
			if working != "" {
				if _, err := a.open(t.Context(), "tcp", "localhost:80"); err != nil {
					t.Fatal(err)
				}
				working = ""
			}
			if _, err := a.open(t.Context(), "tcp", "localhost:80"); err == nil || isExhaustion(err) != test.want {
				t.Errorf("%v is exhaustion: %v", err, isExhaustion(err))
			}
		})
	}
	if isExhaustion(refused) || isExhaustion(errors.New("too many open files")) || !isExhaustion(fmt.Errorf("x: %w", lack)) {
		t.Error("isExhaustion is wrong")
	}
}

// logBuffer is a log that may be read concurrently.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logBuffer) count(words string) int { return strings.Count(l.String(), words) }
