package native

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// The dead address of a host costs its part of the time once; the last good one is tried first.
func TestAddresses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dead := map[string]bool{"10.0.0.1:80": true, "[fd00::2]:80": true}
		near, _ := net.Pipe()
		a := &addresses{
			lookup: func(_ context.Context, _, host string) ([]netip.Addr, error) {
				if host != "one" {
					return nil, errors.New("no such host")
				}
				return []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("fd00::2"), netip.MustParseAddr("10.0.0.3")}, nil
			},
			dial: func(ctx context.Context, _, address string) (net.Conn, error) {
				if !dead[address] {
					return near, nil
				}
				<-ctx.Done()
				return nil, ctx.Err()
			},
		}
		for _, step := range []struct {
			die, live string
			ok        bool
			took      time.Duration
		}{
			{"", "", true, 400 * time.Millisecond},
			{"", "", true, 0},
			{"10.0.0.3:80", "10.0.0.1:80", true, 400 * time.Millisecond},
			{"10.0.0.1:80", "", false, 600 * time.Millisecond},
			{"", "10.0.0.1:80", true, 0},
		} {
			dead[step.die], dead[step.live] = true, false
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
			_, err := a.open(ctx, "tcp", "one:80")
			cancel()
			if took := time.Since(began); took != step.took || err == nil != step.ok {
				t.Errorf("with %v dead it took %v: %v; want %v", dead, took, err, step.took)
			}
		}
		if _, err := a.open(t.Context(), "tcp", "two:80"); err == nil || err.Error() != "no such host" {
			t.Errorf("unknown host: %v", err)
		}
	})
}

// The system resolver is used by default.
func TestSystemAddresses(t *testing.T) {
	analyzer := newFakeAnalyzer(always(ok))
	_, port, err := net.SplitHostPort(analyzer.listen(t)[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1"} {
		f := start(t, parseURL(t, "http://"+net.JoinHostPort(host, port)+"/base"), nil)
		if got := f.probeOnce(t); got.Outcome != sink.Delivered {
			t.Errorf("the probe of %s returned %+v", host, got)
		}
	}
}
