package fairshare

import "testing"

func TestPickAndRefundDoNotAllocate(t *testing.T) {
	table := allActive(t, spreadOut(300)...)
	allocations := testing.AllocsPerRun(100, func() {
		i, _ := table.Pick(20, -1)
		table.Pick(5, i)
		table.Refund(i, 20)
		table.Leave(i)
		table.Join(i)
		table.SetWeight(i, table.weights[i]+1)
		table.MaxDeviation()
	})
	if allocations != 0 {
		t.Errorf("%v allocations, want none", allocations)
	}
}
