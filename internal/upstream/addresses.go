package upstream

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
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
	if worked := a.worked.Load(); worked != nil {
		if i := slices.Index(all, *worked); i > 0 {
			all[0], all[i] = all[i], all[0]
		}
	}
	for i, one := range all {
		var conn net.Conn
		if conn, err = a.try(ctx, network, net.JoinHostPort(one.Unmap().String(), port), len(all)-i); err == nil {
			a.worked.Store(&one)
			return conn, nil
		}
	}
	return nil, err
}

// try takes no more than one of so many parts of the time.
func (a *addresses) try(ctx context.Context, network, address string, parts int) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(parts))
		defer cancel()
	}
	return a.dial(ctx, network, address)
}
