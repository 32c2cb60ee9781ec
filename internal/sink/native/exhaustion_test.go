package native

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

	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/transport"
)

// dialError returns the error of the standard library for a failed dial.
func dialError(call string, errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError(call, errno)}
}

// A lack of descriptors, ports or memory is a failure neither of the analyzer nor of the
// packet. It is logged once.
func TestExhaustionIsNoFailure(t *testing.T) {
	for _, lack := range []error{
		dialError("socket", syscall.EMFILE), dialError("socket", syscall.ENFILE), dialError("socket", syscall.ENOBUFS),
		dialError("socket", syscall.ENOMEM), dialError("connect", syscall.EADDRNOTAVAIL),
		&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "dial udp 127.0.0.11:53: socket: " + syscall.EMFILE.Error(), Name: "one"}},
	} {
		t.Run(lack.Error(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var short atomic.Bool
				analyzer := newFakeAnalyzer(always(ok))
				analyzer.health = ndjsonHealth
				log := new(logBuffer)
				s := New(testURL(t), func(ctx context.Context, network, address string) (net.Conn, error) {
					if short.Load() {
						return nil, lack
					}
					return analyzer.dial(ctx, network, address)
				}, nil, slog.New(slog.NewTextHandler(log, nil)))
				f := &fixture{Sink: s, conn: s.newConn("/ingest")}
				defer f.conn.Close()
				want(t, f.probeOnce(t), sink.Delivered, "")
				short.Store(true)
				for range 20 {
					got := f.send(t, 1)
					want(t, got, sink.Aborted, sink.LocalResources)
					if !got.Unsent || got.ProbeSoon {
						t.Errorf("the result is %+v", got)
					}
					want(t, f.probeOnce(t), sink.Aborted, sink.LocalResources)
					time.Sleep(time.Second / 2)
				}
				if !f.acceptsNDJSON() {
					t.Error("the capability epoch advanced")
				}
				if got := log.count("cannot be opened"); got != 1 {
					t.Errorf("it is logged %d times", got)
				}
				short.Store(false)
				want(t, f.send(t, 1), sink.Delivered, "")
				time.Sleep(transport.Cooldown + 2*time.Second)
				want(t, f.probeOnce(t), sink.Delivered, "")
				if log.count("can be opened again") != 1 || log.count("cannot be opened") != 1 {
					t.Errorf("afterwards: %s", log)
				}
			})
		})
	}
}

// Open connections are used during an exhaustion.
func TestExhaustionKeepsOpenConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var short atomic.Bool
		analyzer := newFakeAnalyzer(always(ok))
		f := start(t, testURL(t), func(ctx context.Context, network, address string) (net.Conn, error) {
			if short.Load() {
				return nil, dialError("socket", syscall.EMFILE)
			}
			return analyzer.dial(ctx, network, address)
		})
		want(t, f.send(t, 1), sink.Delivered, "")
		short.Store(true)
		want(t, f.probeOnce(t), sink.Aborted, sink.LocalResources)
		time.Sleep(5 * time.Second)
		want(t, f.send(t, 1), sink.Delivered, "")
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
			if _, err := a.open(t.Context(), "tcp", "localhost:80"); err == nil || transport.IsExhausted(err) != test.want {
				t.Errorf("%v is exhaustion: %v", err, transport.IsExhausted(err))
			}
		})
	}
	if transport.IsExhausted(refused) || transport.IsExhausted(errors.New("too many open files")) || !transport.IsExhausted(fmt.Errorf("x: %w", lack)) {
		t.Error("transport.IsExhausted is wrong")
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
