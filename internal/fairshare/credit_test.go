package fairshare

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A table of many members makes the same picks, and has the same deficits, as one that adds to
// each deficit for each packet.
func TestLazyCreditIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Just(maxDirect+1), rapid.Just(2*maxDirect), rapid.IntRange(maxDirect+1, 4*maxDirect)).Draw(t, "members")
		kinds := rapid.OneOf(rapid.Just([]float64{1, 3}), // the shares are exact, so that many deficits are equal
			rapid.SliceOfN(rapid.Float64Range(1, 2), 40, 80), // many groups
			rapid.SliceOfN(rapid.SampledFrom([]float64{1, 1, 1, 2, 3, 0.001, 1e6}), 1, 5)).Draw(t, "weights")
		var lazy, each Table
		for i := range n {
			for _, table := range []*Table{&lazy, &each} {
				if _, err := table.Add(kinds[i%len(kinds)]); err != nil {
					t.Fatal(err)
				}
				table.Join(i)
			}
		}
		sizes := rapid.SampledFrom(rapid.SampledFrom([][]int{{1}, {1, 3}, {1, 3, 100, MaxMessages}}).Draw(t, "sizes"))
		for range rapid.IntRange(1, 60).Draw(t, "operations") {
			i := rapid.IntRange(0, n-1).Draw(t, "member")
			switch rapid.IntRange(0, 9).Draw(t, "operation") {
			case 0:
				lazy.Leave(i)
				each.Leave(i)
			case 1:
				lazy.Join(i)
				each.Join(i)
			case 2:
				weight := rapid.SampledFrom(kinds).Draw(t, "weight") * 2
				lazy.SetWeight(i, weight)
				each.SetWeight(i, weight)
			case 3:
				lazy.Refund(i, 7)
				each.Refund(i, 7)
			case 4:
				var state State
				lazy.Save(&state)
			default:
				avoid := rapid.SampledFrom([]int{-1, -1, -1, i}).Draw(t, "avoid")
				for range rapid.IntRange(1, 200).Draw(t, "picks") {
					checkSamePick(t, &lazy, &each, sizes.Draw(t, "messages"), avoid)
				}
			}
		}
		lazy.settle()
		if !slices.Equal(lazy.deficits, each.deficits) {
			t.Fatalf("the deficits are %v, want %v", lazy.deficits, each.deficits)
		}
	})
}

// checkGroups checks that each group, and each block as long as it says, has the first of its
// largest deficits.
func checkGroups(t *rapid.T, table *Table) {
	t.Helper()
	if !table.groups.valid {
		return
	}
	deficit := func(k int) int64 { return table.deficits[k] + table.shares[k]*table.credited }
	check := func(name string, number, best int, of func(k int) bool) {
		for k := range table.deficits {
			if d, highest := deficit(k), deficit(best); of(k) && (d > highest || d == highest && k < best) {
				t.Fatalf("at %d the best of %s %d is %d with %d, but %d has %d", table.credited, name, number, best, highest, k, d)
			}
		}
	}
	g := &table.groups
	for i, one := range g.all {
		check("group", i, one.best, func(k int) bool { return g.of[k] == i })
		if want := table.deficits[one.best]; one.deficit != want {
			t.Fatalf("group %d has the deficit %d, want %d", i, one.deficit, want)
		}
	}
	for b, one := range g.blocks {
		if one.ends > table.credited {
			check("block", b, one.best.best, func(k int) bool { return g.of[k]/blockGroups == b })
		}
	}
}

func checkSamePick(t *rapid.T, lazy, each *Table, messages, avoid int) {
	got, _ := lazy.Pick(messages, avoid)
	checkGroups(t, lazy)
	// Pick of one that credits each.
	m := clampMessages(messages)
	each.deviation.observe(m, each.deficits)
	first := each.creditEach(m)
	chosen := each.avoiding(first, avoid)
	if chosen != first {
		each.deviation.invalidate()
	}
	each.charge(chosen, m)
	if want := each.members[chosen]; got != want {
		t.Fatalf("picked %d, want %d", got, want)
	}
	if a, b := lazy.Deficit(got), each.Deficit(got); a != b {
		t.Fatalf("the deficit of the picked one is %v, want %v", a, b)
	}
	if a, b := lazy.MaxDeviation(), each.MaxDeviation(); a != b {
		t.Fatalf("the maximum deviation is %v, want %v", a, b)
	}
}

// Members with equal deficits are picked in their order also if their shares differ.
func TestEqualDeficitsOfDifferentShares(t *testing.T) {
	var weights []float64
	for i := range 4 * blockGroups {
		weights = append(weights, float64(100-i)) // the first member is in the last block
	}
	table := allActive(t, weights...)
	for k, share := range table.shares {
		table.deficits[k] = -share
	}
	if got, _ := table.Pick(1, -1); got != 0 {
		t.Errorf("picked %d, want 0", got)
	}
}
