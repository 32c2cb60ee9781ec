package dedupe

import "time"

// generation is the set of packets accepted from its start to the next generation's.
type generation struct {
	startedAt time.Time
	// latest maps ids to the content that was accepted last. earlier has the packets of
	// the same ids that were accepted before it, which are rare.
	latest  table
	earlier map[fingerprint]struct{}
}

func newGeneration(startedAt time.Time) *generation {
	return &generation{startedAt: startedAt}
}

// find reports whether the packet is known, and whether its ids are known with other content.
func (g *generation) find(f fingerprint) (known, conflict bool) {
	latest, taken := g.latest.get(f.ids)
	if taken && latest == f.content {
		return true, false
	}
	if len(g.earlier) > 0 {
		_, known = g.earlier[f]
	}
	return known, taken
}

func (g *generation) add(f fingerprint) {
	if latest, taken := g.latest.get(f.ids); taken && latest != f.content {
		if g.earlier == nil {
			g.earlier = make(map[fingerprint]struct{})
		}
		g.earlier[fingerprint{f.ids, latest}] = struct{}{}
		delete(g.earlier, f)
	}
	g.latest.set(f.ids, f.content)
}

// forget removes a packet and reports whether it was known.
func (g *generation) forget(f fingerprint) bool {
	if latest, taken := g.latest.get(f.ids); taken && latest == f.content {
		g.latest.remove(f.ids)
		return true
	}
	_, known := g.earlier[f]
	delete(g.earlier, f)
	return known
}

// forget removes a packet from all generations and reports whether it was known.
func forget(f fingerprint, generations ...*generation) (known bool) {
	for _, g := range generations {
		if g.forget(f) {
			known = true
		}
	}
	return known
}

func (g *generation) len() int { return g.latest.len + len(g.earlier) }

func (g *generation) clear() { g.latest, g.earlier = table{}, nil }
