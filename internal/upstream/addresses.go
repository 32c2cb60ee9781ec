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
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	worked atomic.Pointer[netip.Addr]
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
	worked := -1
	if latest := a.worked.Load(); latest != nil {
		if worked = slices.Index(all, *latest); worked > 0 {
			all[0], all[worked] = all[worked], all[0]
			worked = 0
		}
	}
	for i, one := range all {
		conn, failure := a.try(ctx, network, net.JoinHostPort(one.Unmap().String(), port), len(all)-i)
		if failure == nil {
			a.worked.Store(&one)
			return conn, nil
		}
		if worked != 0 && errors.Is(failure, syscall.EADDRNOTAVAIL) {
			failure = &errNoRoute{failure}
		}
		if worked != 0 || i == 0 { // why that one fails that worked says most
			err = failure
		}
	}
	return nil, err
}

// errNoRoute takes an error for what it is of an address that never worked: this machine
// has none of that kind, such as of IPv6, rather than no port left.
type errNoRoute struct{ cause error }

func (e *errNoRoute) Error() string { return e.cause.Error() }

// try takes no more than one of so many parts of the time.
func (a *addresses) try(ctx context.Context, network, address string, parts int) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(parts))
		defer cancel()
	}
	return a.dial(ctx, network, address)
}
