// Package clientquota divides a capacity among clients.
package clientquota

import (
	"net"
	"net/netip"
	"sync"
)

// Quota divides a capacity among clients: each may hold factor times as much as is
// free, so that one greedy client leaves 1/(1+factor) to the others. A client that holds nothing
// gets all that it requests as long as the capacity lasts. It may be used concurrently.
type Quota struct {
	factor int64

	mu       sync.Mutex // guards the fields below
	capacity int64
	total    int64
	held     map[netip.Addr]int64
}

// New returns a Quota of which nothing is held.
func New(capacity, factor int64) *Quota {
	return &Quota{capacity: capacity, factor: factor, held: make(map[netip.Addr]int64)}
}

// SetCapacity changes the capacity. What is held stays.
func (q *Quota) SetCapacity(capacity int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.capacity = capacity
}

// Take charges a client, or reports false if the client may not have the amount.
func (q *Quota) Take(client netip.Addr, amount int64) bool {
	return q.Replace(client, 0, amount)
}

// Replace is Take for an amount that the client is to hold instead of another one, for which Give
// is called thereafter: beside it the client holds only what it holds otherwise.
func (q *Quota) Replace(client netip.Addr, replaced, amount int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	free, others := q.capacity-q.total-amount, q.held[client]-replaced
	if free < 0 || others > 0 && others+amount > q.factor*free {
		return false
	}
	q.total += amount
	q.held[client] += amount
	return true
}

// Give ends a charge.
func (q *Quota) Give(client netip.Addr, amount int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total -= amount
	if q.held[client] -= amount; q.held[client] == 0 {
		delete(q.held, client)
	}
}

// ClientOf returns the client at an address: an IPv4 host, or an IPv6 network of 64
// bits, since a host may use all addresses of that.
func ClientOf(address net.Addr) netip.Addr {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	client := tcp.AddrPort().Addr().Unmap().WithZone("")
	if client.Is6() {
		if network, err := client.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return client
}
