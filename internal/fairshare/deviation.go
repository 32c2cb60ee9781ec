package fairshare

import "slices"

// The maximum deviation.
//
// Let n members be active, L the size of the largest packet, and Wₖ the sum
// of the k largest shares. With deficits that start at 0, every deficit D satisfies
//
//	−L·(1 − 1/n)  ≤  D  ≤  L·(W₂/2 + W₃/3 + … + Wₙ/n)  ≤  L·(Hₙ − 1)
//
// where Hₙ = 1 + 1/2 + … + 1/n. For n = 1 the maximum is 0, for n = 2 it is L/2,
// and for n equal weights, where Wₖ = k/n, both sides are L·(1 − 1/n); all three
// are reached. The right side is never less than the left one, because
// Wₖ ≥ k/n, so that one number limits both. A member can be below its share by
// more than L·(1 − 1/n): with weights 4, 3 and 1 a deficit reaches 0.75·L (the
// tests enumerate all streams), and the formula gives 0.77·L.
//
// Left side: after the shares of a packet of m messages are added the deficits
// sum to m, so the largest is at least m/n, and at least m/n − m after the charge.
//
// Right side, by the argument known from cup games ("the emptier always empties
// the fullest cup"): let Aₖ be the largest average that any k deficits ever
// have. Take k members after a packet of m messages. If the charged member is
// among them, their sum grew by no more than m and fell by m. If not, its
// deficit was at least each of theirs, so their average was at most that of the
// k + 1 members including it, which before the packet was at most Aₖ₊₁ and grew
// by at most m·Wₖ₊₁/(k+1). Hence Aₖ ≤ Aₖ₊₁ + L·Wₖ₊₁/(k+1); Aₙ is 0 because all
// deficits sum to 0; and A₁ is the largest deficit.
//
// Changes. The argument holds from any state on: Aₖ is at most the larger of
// its value in that state and of the step above. So a Refund, a Pick that avoided
// the member with the largest deficit and each change of shares only need a
// snapshot of the deficits, from which the maximum is computed:
//
//	D ≤ max over k of (mean of the k largest deficits in the snapshot + L·(W₂/2 + … + Wₖ/k))
//	D ≥ min(lowest deficit in the snapshot, −L·(1 − 1/n))
//
// L is reset when a member joins or leaves, so that one large packet does not
// raise the maximum for ever.

// deviation computes the maximum deviation.
type deviation struct {
	maxPacket int64   // messages of the largest packet since the active set changed
	snapshot  []int64 // deficits in descending order
	invalid   bool    // the snapshot is outdated; the next Pick takes one before it charges
	cached    int64   // the last result of max
	stale     bool    // cached is outdated
	shares    []int64 // scratch space of compute
}

// grow makes space for a number of members.
func (d *deviation) grow(members int) {
	d.snapshot = slices.Grow(d.snapshot, members-len(d.snapshot))
	d.shares = slices.Grow(d.shares, members-len(d.shares))
}

func (d *deviation) reset() {
	d.maxPacket = 0
	d.invalid = true
}

func (d *deviation) invalidate() { d.invalid = true }

// observe accounts for a packet that is about to be charged.
func (d *deviation) observe(messages int64, deficits []int64) {
	if d.invalid {
		d.takeSnapshot(deficits)
	}
	if messages > d.maxPacket {
		d.maxPacket, d.stale = messages, true
	}
}

func (d *deviation) takeSnapshot(deficits []int64) {
	d.snapshot = descending(d.snapshot, deficits)
	d.invalid, d.stale = false, true
}

// max returns the maximum deviation in fixed point, rounded up. Each change of
// shares must be followed by invalidate.
func (d *deviation) max(shares []int64) int64 {
	if d.stale {
		d.cached, d.stale = d.compute(shares), false
	}
	return d.cached
}

func (d *deviation) compute(shares []int64) int64 {
	n := len(shares)
	if n == 0 {
		return 0
	}
	d.shares = descending(d.shares, shares)
	limit := max(0, -d.snapshot[n-1])
	var sum, weight, steps int64
	for k := range int64(n) {
		sum += d.snapshot[k]
		weight += d.shares[k]
		if k > 0 {
			steps += divideUp(d.maxPacket*weight, k+1)
		}
		limit = max(limit, divideUp(sum, k+1)+steps)
	}
	return limit
}

// divideUp returns a/b rounded towards +∞.
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

// LargestPacket returns the messages of the largest packet since the active set changed.
func (t *Table) LargestPacket() int { return int(t.deviation.maxPacket) }

// MaxDeviationOf returns, in messages, the maximum deviation of members with these shares,
// which sum to 1, from deficits of 0 on, with packets of at most the given messages.
func MaxDeviationOf(shares []float64, messages int) (limit float64) {
	shares = slices.Clone(shares)
	slices.Sort(shares)
	slices.Reverse(shares)
	weight := 0.0
	for k, share := range shares {
		weight += share
		if k > 0 {
			limit += float64(messages) * weight / float64(k+1)
		}
	}
	return limit
}

// MaxDeviation returns, in messages, the maximum of the absolute values of all
// deficits now and after further packets no larger than before. A larger packet,
// a Refund, a Pick that avoids a member and a change of members or weights may
// raise it.
func (t *Table) MaxDeviation() float64 {
	if t.deviation.invalid {
		t.settle()
		t.deviation.takeSnapshot(t.deficits)
	}
	return float64(t.deviation.max(t.shares)) / fixedOne
}
