package fairshare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// mixedSizes returns a stream of packet sizes from 1 to 100, the same for the
// same seed.
func mixedSizes(seed uint64) func() int {
	random := rand.New(rand.NewPCG(seed, 1))
	return func() int { return 1 + random.IntN(100) }
}

// alternatingSizes returns the stream 100, 1, 100, 1, …
func alternatingSizes() func() int {
	large := false
	return func() int {
		large = !large
		if large {
			return 100
		}
		return 1
	}
}

// rule is a way to distribute packets over members.
type rule interface {
	pick(messages int) int
	setActive(i int, active bool)
}

// thisRule is the rule of the package.
type thisRule struct{ *Table }

func (r thisRule) pick(messages int) int {
	i, _ := r.Pick(messages, -1)
	return i
}

func (r thisRule) setActive(i int, active bool) {
	if active {
		r.Join(i)
	} else {
		r.Leave(i)
	}
}

// members is the common part of the other rules.
type members struct {
	weights  []float64
	inactive []bool
}

func membersOf(weights []float64) members { return members{weights, make([]bool, len(weights))} }

func (m members) setActive(i int, active bool) { m.inactive[i] = !active }

// cheapest returns the active member with the lowest cost, the first of equals.
func (m members) cheapest(cost func(i int) float64) int {
	best, lowest := -1, math.Inf(1)
	for i := range m.weights {
		if c := cost(i); !m.inactive[i] && c < lowest {
			best, lowest = i, c
		}
	}
	return best
}

// leastSent selects the lowest (sent + m)/weight and never resets sent.
type leastSent struct {
	members
	sent []float64
}

func (r leastSent) pick(messages int) int {
	i := r.cheapest(func(i int) float64 { return (r.sent[i] + float64(messages)) / r.weights[i] })
	r.sent[i] += float64(messages)
	return i
}

// weightedRandom draws a member by weight for each packet.
type weightedRandom struct {
	members
	random *rand.Rand
}

func (r weightedRandom) pick(int) int {
	total := 0.0
	for i, w := range r.weights {
		if !r.inactive[i] {
			total += w
		}
	}
	draw, last := r.random.Float64()*total, 0
	for i, w := range r.weights {
		if r.inactive[i] {
			continue
		}
		last = i
		if draw -= w; draw < 0 {
			break
		}
	}
	return last
}

// requestRoundRobin is smooth weighted round robin over requests, as in load
// balancers: a packet of any size counts as one.
type requestRoundRobin struct {
	members
	current []float64
}

func (r requestRoundRobin) pick(int) int {
	total := 0.0
	for i, w := range r.weights {
		if !r.inactive[i] {
			total += w
			r.current[i] += w
		}
	}
	i := r.cheapest(func(i int) float64 { return -r.current[i] })
	r.current[i] -= total
	return i
}

const (
	packageName    = "this package"
	leastSentName  = "least (sent + m)/weight"
	randomName     = "weighted random"
	roundRobinName = "weighted round robin over requests"
)

var ruleNames = []string{packageName, leastSentName, randomName, roundRobinName}

func rules(t *testing.T, weights []float64) map[string]rule {
	n := len(weights)
	return map[string]rule{
		packageName:    thisRule{allActive(t, weights...)},
		leastSentName:  leastSent{membersOf(weights), make([]float64, n)},
		randomName:     weightedRandom{membersOf(weights), rand.New(rand.NewPCG(1, 1))},
		roundRobinName: requestRoundRobin{membersOf(weights), make([]float64, n)},
	}
}

// maxDeviation returns the maximum deviation from shares, in messages, over all
// members and a stream.
func maxDeviation(r rule, weights []float64, sizes func() int, packets int) float64 {
	served, all, worst := make([]float64, len(weights)), 0.0, 0.0
	for range packets {
		m := sizes()
		served[r.pick(m)] += float64(m)
		all += float64(m)
		for i, w := range weights {
			worst = max(worst, math.Abs(w*all-served[i]))
		}
	}
	return worst
}

// shareAfterReturn returns the share of the first member in the packets that
// follow its rejoin.
func shareAfterReturn(r rule, sizes func() int, absence, after int) float64 {
	r.setActive(0, false)
	for range absence {
		r.pick(sizes())
	}
	r.setActive(0, true)
	served, all := 0.0, 0.0
	for range after {
		m := sizes()
		if r.pick(m) == 0 {
			served += float64(m)
		}
		all += float64(m)
	}
	return served / all
}

// TestComparison applies each rule to the same traffic. With -v it prints a
// Markdown table.
func TestComparison(t *testing.T) {
	const packets, absence, after = 100_000, 20_000, 1_000
	weights := []float64{0.5, 0.3, 0.2}
	mixed, alternating, returning := map[string]float64{}, map[string]float64{}, map[string]float64{}
	for name, r := range rules(t, weights) {
		sizes := mixedSizes(11)
		mixed[name] = maxDeviation(r, weights, sizes, packets)
		returning[name] = shareAfterReturn(r, sizes, absence, after)
	}
	for name, r := range rules(t, weights) {
		alternating[name] = maxDeviation(r, weights, alternatingSizes(), packets)
	}

	t.Log(markdown(mixed, alternating, returning))
	if bound := formula(weights, 100) + rounding; mixed[packageName] > bound || alternating[packageName] > bound {
		t.Errorf("%v and %v messages off, the bound is %v", mixed[packageName], alternating[packageName], bound)
	}
	for _, name := range ruleNames[1:] {
		if mixed[name] < mixed[packageName] || alternating[name] < alternating[packageName] {
			t.Errorf("%s stays closer to the shares than this package", name)
		}
	}
	for _, name := range []string{randomName, roundRobinName} {
		if mixed[name] < 10*mixed[packageName] {
			t.Errorf("%s deviates by only %v messages on mixed traffic", name, mixed[name])
		}
	}
	if alternating[roundRobinName] < 100_000 {
		t.Errorf("%s deviates by only %v messages on alternating sizes", roundRobinName, alternating[roundRobinName])
	}
	if returning[leastSentName] < 0.99 {
		t.Errorf("%s gives the rejoined member %v of all messages, want almost all", leastSentName, returning[leastSentName])
	}
	if math.Abs(returning[packageName]-0.5) > 0.005 {
		t.Errorf("the rejoined member gets %v of all messages, want its share of 0.5", returning[packageName])
	}
}

func markdown(mixed, alternating, returning map[string]float64) string {
	var b strings.Builder
	b.WriteString("\n| rule | 1–100 messages per packet: maximum deviation | 100 and 1 alternating: maximum deviation | share of a rejoined 50 % member |\n|---|---:|---:|---:|\n")
	for _, name := range ruleNames {
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.1f %% |\n", name, mixed[name], alternating[name], 100*returning[name])
	}
	return b.String()
}
