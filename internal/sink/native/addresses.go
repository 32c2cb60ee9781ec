package native

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// addresses dials a host that may have several addresses, starting with the last one
// that succeeded. The remaining time is divided equally among the remaining addresses,
// so that one that drops packets does not exhaust it. It is safe for concurrent use.
type addresses struct {
	lookup    func(ctx context.Context, network, host string) ([]netip.Addr, error)
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	preferred atomic.Pointer[netip.Addr]
}

func (a *addresses) open(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	all, err := a.lookup(ctx, "ip", host) // of an IP address: itself
	if err != nil {
		return nil, err
	}
	preferred := -1
	if lastGood := a.preferred.Load(); lastGood != nil {
		if preferred = slices.Index(all, *lastGood); preferred > 0 {
			all[0], all[preferred] = all[preferred], all[0]
			preferred = 0
		}
	}
	for i, address := range all {
		conn, dialErr := a.dialWithin(ctx, network, net.JoinHostPort(address.Unmap().String(), port), len(all)-i)
		if dialErr == nil {
			a.preferred.Store(&address)
			return conn, nil
		}
		if preferred != 0 && errors.Is(dialErr, syscall.EADDRNOTAVAIL) {
			dialErr = &errNoRoute{dialErr}
		}
		if preferred != 0 || i == 0 { // prefer the error of the preferred address
			err = dialErr
		}
	}
	return nil, err
}

// errNoRoute hides an EADDRNOTAVAIL of an address that never succeeded: it means that
// this machine has no address of that family, such as IPv6, not that no port is free.
type errNoRoute struct{ cause error }

func (e *errNoRoute) Error() string { return e.cause.Error() }

// dialWithin dials within 1/parts of the time left.
func (a *addresses) dialWithin(ctx context.Context, network, address string, parts int) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(parts))
		defer cancel()
	}
	return a.dial(ctx, network, address)
}
