// Package clientquota divides a capacity among clients.
package clientquota

import (
	"net"
	"net/netip"
	"sync"
)

// Quota divides a capacity among clients: each may hold factor times as much as is
// free, so that one greedy client leaves 1/(1+factor) to the others. A client that
// holds nothing gets what it asks for as long as the capacity lasts. It may be used
// concurrently.
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
	q.mu.Lock()
	defer q.mu.Unlock()
	free, held := q.capacity-q.total-amount, q.held[client]
	if free < 0 || held > 0 && held+amount > q.factor*free {
		return false
	}
	q.total += amount
	q.held[client] = held + amount
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
