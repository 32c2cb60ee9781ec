package ingest

import (
	"net"
	"net/netip"
	"sync"
)

// clientQuota divides a capacity among clients while it fills up: each may hold
// factor times as much as is free, so that one that presses leaves 1/(1+factor) to
// the others. One that holds nothing gets what it asks for as long as the capacity
// lasts. It may be used concurrently.
type clientQuota struct {
	capacity, factor int64

	mu    sync.Mutex // guards total and held
	total int64
	held  map[netip.Addr]int64
}

func newClientQuota(capacity, factor int64) *clientQuota {
	return &clientQuota{capacity: capacity, factor: factor, held: make(map[netip.Addr]int64)}
}

// take charges a client, or reports that it may not have the amount.
func (q *clientQuota) take(client netip.Addr, amount int64) bool {
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

// give ends a charge.
func (q *clientQuota) give(client netip.Addr, amount int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total -= amount
	if q.held[client] -= amount; q.held[client] == 0 {
		delete(q.held, client)
	}
}

// clientOf returns who is at an address: an IPv4 host, or an IPv6 network of 64
// bits, of which a host may use all addresses.
func clientOf(address net.Addr) netip.Addr {
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
