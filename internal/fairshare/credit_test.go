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
		n := rapid.OneOf(rapid.Just(2*maxDirect), rapid.IntRange(maxDirect+1, 4*maxDirect)).Draw(t, "members")
		kinds := rapid.OneOf(rapid.Just([]float64{1, 3}), // the shares are exact, so that many deficits are equal
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

// checkBlocks checks that each block has the first of its largest deficits for as long as it says.
func checkBlocks(t *rapid.T, table *Table) {
	t.Helper()
	deficit := func(k int) int64 { return table.deficits[k] + table.shares[k]*table.credited }
	for b, one := range table.blocks {
		if one.ends <= table.credited {
			continue
		}
		for k := b * blockMembers; k < min((b+1)*blockMembers, len(table.deficits)); k++ {
			if d, best := deficit(k), deficit(one.best); d > best || d == best && k < one.best {
				t.Fatalf("at %d the best of block %d until %d is %d with %d, but %d has %d", table.credited, b, one.ends, one.best, best, k, d)
			}
		}
	}
}

func checkSamePick(t *rapid.T, lazy, each *Table, messages, avoid int) {
	got, _ := lazy.Pick(messages, avoid)
	checkBlocks(t, lazy)
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
