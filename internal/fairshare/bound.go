package fairshare

import "slices"

// The bound.
//
// Let n members be active, L be the size of the largest packet, and Wₖ the sum
// of the k largest shares. With deficits that start at 0, every deficit D keeps
//
//	−L·(1 − 1/n)  ≤  D  ≤  L·(W₂/2 + W₃/3 + … + Wₙ/n)  ≤  L·(Hₙ − 1)
//
// where Hₙ = 1 + 1/2 + … + 1/n. For n = 1 that is 0, for n = 2 it is L/2, and
// for n equal weights, where Wₖ = k/n, both sides are L·(1 − 1/n); all three
// are reached. The right side is never less than the left one, because
// Wₖ ≥ k/n, so that one number holds both. Below its share a member can be by
// more than L·(1 − 1/n): of weights 4, 3 and 1 one comes to 0.75·L (the tests
// follow every stream), where the formula says 0.77·L.
//
// Left side: after the shares of a packet of m messages are added the deficits
// sum to m, so the largest is at least m/n, and at least m/n − m after it paid.
//
// Right side, by the argument known from cup games ("the emptier always empties
// the fullest cup"): let Aₖ be the largest average that any k deficits ever
// have. Take k members after a packet of m messages. If the one that paid is
// among them, their sum grew by no more than m and fell by m. If it is not, its
// deficit was at least each of theirs, so their average was at most that of the
// k + 1 with it, which before the packet was at most Aₖ₊₁ and grew by at most
// m·Wₖ₊₁/(k+1). Hence Aₖ ≤ Aₖ₊₁ + L·Wₖ₊₁/(k+1); Aₙ is 0 because all deficits
// sum to 0; and A₁ is the largest deficit.
//
// Changes. The argument holds from any state on: Aₖ is at most the larger of
// its value in that state and of the step above. So a Refund, a Pick that had
// to avoid the member whose turn it was, and every change of shares only
// takes note of the deficits at that moment, and the bound goes on from there:
//
//	D ≤ max over k of (mean of the k largest deficits noted + L·(W₂/2 + … + Wₖ/k))
//	D ≥ min(lowest deficit noted, −L·(1 − 1/n))
//
// L is forgotten when a member joins or leaves, so that one giant packet does
// not loosen the bound for ever.

// boundary knows what is needed to state the bound.
type boundary struct {
	largest   int64   // messages of the largest packet since the active set changed
	noted     []int64 // deficits in descending order, from which the bound goes on
	disturbed bool    // noted is out of date; the next Pick takes note before it charges
	known     int64   // what within returned last
	stale     bool    // something has changed that it depends on
	shares    []int64 // scratch of within
}

func newBoundary(members int) boundary {
	return boundary{noted: make([]int64, 0, members), shares: make([]int64, 0, members)}
}

func (b *boundary) reset() {
	b.largest = 0
	b.disturbed = true
}

func (b *boundary) disturb() { b.disturbed = true }

// observe takes account of a packet about to be charged.
func (b *boundary) observe(messages int64, deficits []int64) {
	if b.disturbed {
		b.note(deficits)
	}
	if messages > b.largest {
		b.largest, b.stale = messages, true
	}
}

func (b *boundary) note(deficits []int64) {
	b.noted = descending(b.noted, deficits)
	b.disturbed, b.stale = false, true
}

// within returns the bound in units of the ledger, rounded up. Whoever changes
// the shares disturbs.
func (b *boundary) within(shares []int64) int64 {
	if b.stale {
		b.known, b.stale = b.reckon(shares), false
	}
	return b.known
}

func (b *boundary) reckon(shares []int64) int64 {
	n := len(shares)
	if n == 0 {
		return 0
	}
	b.shares = descending(b.shares, shares)
	bound := max(0, -b.noted[n-1])
	var sum, weight, steps int64
	for k := range int64(n) {
		sum += b.noted[k]
		weight += b.shares[k]
		if k > 0 {
			steps += divideUp(b.largest*weight, k+1)
		}
		bound = max(bound, divideUp(sum, k+1)+steps)
	}
	return bound
}

// divideUp rounds towards +∞.
func divideUp(a, b int64) int64 {
	quotient := a / b
	if a%b > 0 {
		quotient++
	}
	return quotient
}

func descending(dst, values []int64) []int64 {
	dst = append(dst[:0], values...)
	slices.Sort(dst)
	slices.Reverse(dst)
	return dst
}

// Bound returns, in messages, what no deficit is outside of now, above or below
// 0, and what none will leave with packets no larger than before; the formula
// stands at the top of bound.go. A larger packet, a Refund, a Pick that avoids
// and a change of members or weights may raise it.
func (t *Table) Bound() float64 {
	if t.bound.disturbed {
		t.bound.note(t.deficits)
	}
	return float64(t.bound.within(t.shares)) / whole
}
