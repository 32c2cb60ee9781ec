// Package rendezvous orders nodes for a key by weighted rendezvous hashing (highest random
// weight): each key has an order of its own, in which its nodes are tried. When a node
// leaves, only the keys that had it first move, each to its second node; when one joins,
// only the keys that it now is first for. docs/sharding.md defines the hash for programs in
// other languages, with test vectors.
package rendezvous

import (
	"cmp"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Node is what keys are distributed over.
type Node struct {
	// Name identifies the node, equally for all that compute its scores.
	Name string
	// Weight is the node's share of the keys relative to that of the others. A node with a
	// weight that is not more than 0 comes last.
	Weight float64
}

// Hash returns XXH64, with the seed 0, of the name, a zero byte and the key. It may be
// called concurrently.
func Hash(name, key string) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(name) // a digest returns no errors
	_, _ = d.Write([]byte{0})
	_, _ = d.WriteString(key)
	return d.Sum64()
}

// Score returns the score of a node for a key: weight / −ln u, where u is the hash as a
// number between 0 and 1. It may be called concurrently.
func Score(n Node, key string) float64 {
	if !(n.Weight > 0) {
		return 0
	}
	// The upper 53 bits are the precision of a float64; one half keeps u from 0 and 1.
	u := (float64(Hash(n.Name, key)>>11) + 0.5) / (1 << 53)
	return n.Weight / -math.Log(u)
}

// Order returns the indices of the nodes in the key's order: the highest score first, of
// equal ones the lesser name. It may be called concurrently.
func Order(nodes []Node, key string) []int {
	scores := make([]float64, len(nodes))
	order := make([]int, len(nodes))
	for i, n := range nodes {
		scores[i], order[i] = Score(n, key), i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(nodes[a].Name, nodes[b].Name))
	})
	return order
}
