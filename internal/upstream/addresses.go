package upstream

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

// addresses opens connections to a host that may have several addresses, the one that
// worked last first. Each has an equal part of the time that is left, so that one that
// drops everything does not use it up. It may be used concurrently.
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
	all, err := a.lookup(ctx, "ip", host) // an address is its own
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
		if preferred != 0 || i == 0 { // why that one fails that worked says most
			err = dialErr
		}
	}
	return nil, err
}

// errNoRoute takes an error for what it is of an address that never worked: this machine
// has none of that kind, such as of IPv6, rather than no port left.
type errNoRoute struct{ cause error }

func (e *errNoRoute) Error() string { return e.cause.Error() }

// try takes no more than one of so many parts of the time.
func (a *addresses) dialWithin(ctx context.Context, network, address string, parts int) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(parts))
		defer cancel()
	}
	return a.dial(ctx, network, address)
}
