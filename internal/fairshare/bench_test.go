package fairshare

import (
	"fmt"
	"slices"
	"testing"
)

// BenchmarkPick picks for packets of 1 to 100 messages.
func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 30, 300, 1000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			table := allActive(b, slices.Repeat([]float64{1, 2, 3}, n/3)...)
			b.ReportAllocs()
			m := 0
			for b.Loop() {
				m = m%100 + 1
				table.Pick(m, -1)
			}
		})
	}
}

// BenchmarkLeaveAndJoin is a member that goes and comes back, with a packet after
// that; it pays for the bound.
func BenchmarkLeaveAndJoin(b *testing.B) {
	for _, n := range []int{3, 30, 300, 1000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			table := allActive(b, slices.Repeat([]float64{1, 2, 3}, n/3)...)
			b.ReportAllocs()
			for b.Loop() {
				table.Leave(1)
				table.Join(1)
				table.Pick(1, -1)
			}
		})
	}
}
