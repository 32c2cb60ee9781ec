package fairshare

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// formula is the maximum deviation of deviation.go in floating point, from weights
// alone.
func formula(weights []float64, maxPacket int) float64 {
	sorted := slices.Clone(weights)
	slices.Sort(sorted)
	slices.Reverse(sorted)
	total := 0.0
	for _, w := range sorted {
		total += w
	}
	sum, bound := 0.0, 0.0
	for k, w := range sorted {
		sum += w / total
		if k > 0 {
			bound += float64(maxPacket) * sum / float64(k+1)
		}
	}
	return bound
}

// rounding is the maximum error of the formula for shares in units of 2⁻³².
const rounding = 1e-3

func newTable(t rapid.TB, weights ...float64) *Table {
	t.Helper()
	table := new(Table)
	for i, w := range weights {
		if added, err := table.Add(w); added != i || err != nil {
			t.Fatalf("member %d got the index %d: %v", i, added, err)
		}
	}
	return table
}

func allActive(t rapid.TB, weights ...float64) *Table {
	t.Helper()
	table := newTable(t, weights...)
	for i := range weights {
		table.Join(i)
	}
	return table
}

// extremes returns the largest and the lowest deficit in messages.
func extremes(table *Table) (below, above float64) {
	table.settle()
	return float64(slices.Max(table.deficits)) / fixedOne, float64(slices.Min(table.deficits)) / fixedOne
}

func TestMaxDeviationIsTheFormula(t *testing.T) {
	for _, weights := range [][]float64{{1}, {1, 1}, {9, 1}, {1, 1, 1}, {0.5, 0.3, 0.2}, {20, 8, 3, 2, 1, 1}} {
		table := allActive(t, weights...)
		if got := table.MaxDeviation(); got != 0 {
			t.Errorf("%v: bound before the first packet = %v, want 0", weights, got)
		}
		for m := range 100 {
			table.Pick(m+1, -1)
		}
		if got, want := table.MaxDeviation(), formula(weights, 100); math.Abs(got-want) > rounding {
			t.Errorf("%v: bound = %v, want %v", weights, got, want)
		}
	}
}

func TestChangedSetResetsTheLargestPacket(t *testing.T) {
	table := allActive(t, 0.5, 0.3, 0.2)
	table.Pick(10_000, -1)
	if got, want := table.MaxDeviation(), formula([]float64{0.5, 0.3, 0.2}, 10_000); math.Abs(got-want) > rounding {
		t.Errorf("bound = %v after a large packet, want %v", got, want)
	}
	table.Leave(0)
	table.Pick(1, -1)
	if got := table.MaxDeviation(); math.Abs(got-0.5) > rounding {
		t.Errorf("bound = %v for two members after a packet of one message, want 0.5", got)
	}
}

// TestMaxDeviationAfterWeightChange: equal weights have a lower maximum than
// others, and deficits from before the change may exceed it.
func TestMaxDeviationAfterWeightChange(t *testing.T) {
	table := allActive(t, 4, 3, 1)
	sizes := mixedSizes(4)
	for below := 0.0; below < 5.5; below, _ = extremes(table) {
		table.Pick(1+sizes()%8, -1)
	}
	table.SetWeight(1, 4)
	table.SetWeight(2, 4)
	if below, _ := extremes(table); table.MaxDeviation() < below {
		t.Errorf("a deficit of %v under a bound of %v", below, table.MaxDeviation())
	}
}

// TestEveryReachableState enumerates the states that streams of packets of
// 1..largest messages can reach. Weights that sum to a power of two make them
// finite.
func TestEveryReachableState(t *testing.T) {
	for _, c := range []struct {
		weights []float64
		largest int64
		reached bool // some stream reaches the bound
	}{
		{[]float64{1, 1}, 8, true},
		{[]float64{7, 1}, 8, true},
		{[]float64{5, 3}, 8, true},
		{[]float64{1, 1, 1, 1}, 5, true},
		{[]float64{2, 1, 1}, 8, false},
		{[]float64{4, 3, 1}, 8, false},
		{[]float64{6, 1, 1}, 8, false},
		{[]float64{4, 2, 1, 1}, 4, false},
		{[]float64{5, 1, 1, 1}, 4, false},
	} {
		table := allActive(t, c.weights...)
		below, above, states := explore(t, table, c.largest)
		bound, n := formula(c.weights, int(c.largest)), float64(len(c.weights))
		t.Logf("weights %v, L = %d, %6d states: at most %.3f·L below (bound %.3f·L), %.3f·L above (bound %.3f·L)", c.weights, c.largest,
			states, below/float64(c.largest), bound/float64(c.largest), -above/float64(c.largest), 1-1/n)
		if below > bound || -above > float64(c.largest)*(1-1/n) {
			t.Errorf("weights %v: deficits reach %v and %v, the bound is %v", c.weights, below, above, bound)
		}
		if c.reached && below < bound {
			t.Errorf("weights %v: the maximum is %v, want the bound %v", c.weights, below, bound)
		}
	}
}

func explore(t *testing.T, table *Table, largest int64) (below, above float64, states int) {
	type state [4]int64
	var start state
	seen := map[state]bool{start: true}
	frontier := []state{start}
	for len(frontier) > 0 {
		from := frontier[len(frontier)-1]
		frontier = frontier[:len(frontier)-1]
		for m := int64(1); m <= largest; m++ {
			copy(table.deficits, from[:])
			table.Pick(int(m), -1)
			to := state{}
			copy(to[:], table.deficits)
			if seen[to] {
				continue
			}
			seen[to] = true
			high, low := extremes(table)
			below, above = max(below, high), min(above, low)
			frontier = append(frontier, to)
		}
		if len(seen) > 1_000_000 {
			t.Fatal("the number of states is not finite: are the shares exact?")
		}
	}
	return below, above, len(seen)
}

// adversary chooses packet sizes that maximize deficits: of some sizes it selects
// the one that results in the largest sum of the k largest deficits.
type adversary struct {
	table   *Table
	largest int
	saved   []int64
	sorted  []int64
}

func (a *adversary) next(k int) int {
	a.saved = append(a.saved[:0], a.table.deficits...)
	chosen, worst := 1, int64(math.MinInt64)
	for _, m := range []int{1, a.largest / 4, a.largest / 2, 3 * a.largest / 4, a.largest - 1, a.largest} {
		a.table.Pick(m, -1)
		if sum := a.largestDeficits(k); sum > worst {
			chosen, worst = m, sum
		}
		copy(a.table.deficits, a.saved)
	}
	return chosen
}

func (a *adversary) largestDeficits(k int) int64 {
	a.sorted = descending(a.sorted, a.table.deficits)
	sum := int64(0)
	for _, deficit := range a.sorted[:k] {
		sum += deficit
	}
	return sum
}

func TestAdversaryStaysWithinTheBound(t *testing.T) {
	const largest = 1000
	for _, weights := range [][]float64{
		{0.5, 0.3, 0.2}, {1, 1, 1}, {100, 1, 1}, {8, 4, 2, 1, 1},
		spreadOut(8), spreadOut(32), slices.Repeat([]float64{1}, 32), oneHeavy(32),
	} {
		table := allActive(t, weights...)
		a := adversary{table: table, largest: largest}
		n, worst := len(weights), 0.0
		for step := range 4000 {
			table.Pick(a.next(1+(step/(4*n))%max(1, n-1)), -1)
			below, above := extremes(table)
			worst = max(worst, below)
			if bound := table.MaxDeviation(); below > bound || -above > largest*(1-1/float64(n)) {
				t.Fatalf("weights %v, step %d: deficits from %v to %v, bound %v", weights, step, above, below, bound)
			}
		}
		t.Logf("n = %2d: at most %.3f·L below, bound %.3f·L", n, worst/largest, table.MaxDeviation()/largest)
	}
}

func spreadOut(n int) []float64 {
	weights := make([]float64, n)
	for i := range weights {
		weights[i] = float64(i + 1)
	}
	return weights
}

func oneHeavy(n int) []float64 {
	weights := slices.Repeat([]float64{1}, n)
	weights[n-1] = float64(10 * n)
	return weights
}

// TestServedStaysNearShare compares messages counted by the test with weights, for
// random sizes and weights.
func TestServedStaysNearShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float64Range(1e-6, 1e6), 1, 12).Draw(t, "weights")
		largest := rapid.IntRange(1, 10_000).Draw(t, "largest packet")
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, largest), rapid.Just(1), rapid.Just(largest)), 1, 300).Draw(t, "sizes")
		table, total := allActive(t, weights...), sum(weights)
		served, all := make([]float64, len(weights)), 0.0
		bound := formula(weights, slices.Max(sizes)) + rounding
		for _, m := range sizes {
			i, ok := table.Pick(m, -1)
			if !ok {
				t.Fatal("no member was picked")
			}
			served[i] += float64(m)
			all += float64(m)
			for i, w := range weights {
				if off := w/total*all - served[i]; math.Abs(off) > bound {
					t.Fatalf("member %d is %v messages off its share, the bound is %v", i, off, bound)
				}
			}
		}
	})
}

func TestServedStaysNearShareForAMillionPackets(t *testing.T) {
	const packets = 1_000_000
	weights := []float64{0.5, 0.3, 0.2}
	table := allActive(t, weights...)
	served, all, worst := make([]float64, len(weights)), 0.0, 0.0
	sizes := mixedSizes(1)
	for range packets {
		m := sizes()
		i, _ := table.Pick(m, -1)
		served[i] += float64(m)
		all += float64(m)
		for i, w := range weights {
			worst = max(worst, math.Abs(w*all-served[i]))
		}
	}
	// Each share may differ from its weight by one unit for every message.
	if limit := formula(weights, 100) + all/fixedOne; worst > limit {
		t.Errorf("%v messages off the share, the bound is %v", worst, limit)
	}
	t.Logf("%d packets, %.0f messages: at most %.2f off the share, bound %.2f", packets, all, worst, table.MaxDeviation())
}

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}
