package faults

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stage plays a scenario with a system.
type stage struct {
	*system
	scenario
	scenes []scene
}

func newStage(s *system, sc scenario) *stage { return &stage{system: s, scenario: sc} }

// play begins the system and the loads, does all steps, and then says what was
// not as it must be, and what was measured.
func (g *stage) play() {
	g.t.Helper()
	if g.Cgroup > 0 {
		g.distributor.within = newCgroup(g.t, g.Cgroup).command()
		g.t.Cleanup(g.distributor.kill) // before the group is removed
	}
	g.start()
	for _, plan := range g.Loads {
		l := newLoad(plan.Name, plan.Emitters, plan.Connections, plan.Rate.of(g.capacity()))
		l.filler.Store(int64(plan.Filler))
		g.emitters.begin(l)
	}
	g.emitters.awaitMore(g.t, accepted, 20)
	whole := g.open(step{Must: g.Must})
	g.do(g.Steps, nil)
	g.close(whole)
	g.emitters.halt()
	g.hold()
}

// do does steps, one after the other.
func (g *stage) do(steps []step, it *analyzer) {
	for _, st := range steps {
		g.t.Helper()
		c := g.open(st)
		g.change(st, it)
		lasts := st.lasts()
		switch {
		case st.Each:
			for _, a := range g.analyzers {
				g.do(st.Steps, a)
			}
		case len(st.Steps) > 0:
			for end := time.Now().Add(lasts); ; {
				g.do(st.Steps, it)
				if !time.Now().Before(end) {
					break
				}
			}
		default:
			g.last(lasts)
		}
		g.await(st.Until)
		g.close(c)
	}
}

func (st step) lasts() time.Duration {
	if *judge && st.InFull > 0 {
		return st.InFull
	}
	return st.For
}

// open begins a scene.
func (g *stage) open(st step) scene {
	return scene{step: st, from: time.Now(), before: g.gauges()}
}

// close ends a scene.
func (g *stage) close(c scene) {
	c.to = time.Now()
	c.took = c.to.Sub(c.from)
	c.after = g.gauges()
	c.memory = g.distributor.peakMemory()
	c.healthy = int(c.after.value["distributor_healthy_analyzers"])
	g.scenes = append(g.scenes, c)
	g.t.Logf("%s is over after %v", c.title(), rounded(c.took))
}

// gauges are the distributor's, empty ones while it cannot answer.
func (g *stage) gauges() gauges {
	if g.distributor.stopped {
		return gauges{at: time.Now()}
	}
	now, err := g.distributor.gauges()
	if err != nil {
		g.t.Logf("no metrics: %v", err)
	}
	return now
}

// hold says of all scenes what was not as it must be, and what was measured.
func (g *stage) hold() {
	g.t.Helper()
	sent := g.emitters.records()
	named := make(map[string]scene)
	for _, c := range g.scenes {
		c.sent = sent.between(c.from, c.to)
		if c.Name != "" {
			g.note("%s", c.measured())
			named[c.Name] = c
		}
		for _, complaint := range c.Must.complaints(c) {
			g.t.Errorf("%s: %s", c.title(), complaint)
		}
		for _, delay := range c.Must.delays(c, named) {
			if *judge {
				g.delays = append(g.delays, c.title()+": "+delay)
			} else {
				g.t.Logf("%s: with -judge this would fail: %s", c.title(), delay)
			}
		}
	}
}

func (c scene) title() string {
	if c.Name != "" {
		return c.Name
	}
	return fmt.Sprintf("a step of %v", rounded(c.took))
}

// change does what a step says.
func (g *stage) change(st step, it *analyzer) {
	g.t.Helper()
	g.changeDistributor(st.Distributor)
	for _, name := range slices.Sorted(maps.Keys(st.Analyzers)) {
		for _, a := range g.named(name, it) {
			a.suffer(g.trouble(st.Analyzers[name]))
		}
	}
	for name, change := range st.Loads {
		for _, l := range g.emitters.loads {
			if name == everyone || name == l.name {
				l.suffer(change)
			}
		}
	}
	if st.Burst != nil {
		g.emitters.burst(st.Name, *st.Burst)
	}
}

// trouble puts the kind's in its place.
func (g *stage) trouble(c change) change {
	if c.Trouble {
		return g.Kinds[0].Trouble
	}
	return c
}

// named returns the analyzers meant.
func (g *stage) named(name string, it *analyzer) []*analyzer {
	switch name {
	case "all":
		return g.analyzers
	case "it":
		return []*analyzer{it}
	}
	number, _ := strconv.Atoi(strings.TrimPrefix(name, "analyzer-")) // was validated
	return g.analyzers[number-1 : number]
}

// suffer changes an analyzer.
func (a *analyzer) suffer(c change) {
	a.t.Helper()
	switch {
	case c.Kill:
		a.kill()
	case c.Stop:
		a.pause()
	case c.Heal:
		a.heal()
	default:
		a.behave(c.Behaviour)
	}
}

// suffer changes a load.
func (l *load) suffer(c loadChange) {
	if c.Times > 0 {
		l.times(c.Times)
	}
	if c.Hurry {
		l.hurry()
	}
	if c.Filler != nil {
		l.filler.Store(int64(*c.Filler))
	}
}

func (g *stage) changeDistributor(c change) {
	g.t.Helper()
	switch {
	case c.Stop:
		g.distributor.signal(sigStop)
	case c.Heal:
		g.distributor.signal(sigCont)
	}
	for range c.Idle {
		g.connect()
	}
	for range c.Halves {
		if _, err := fmt.Fprint(g.connect(), "POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			g.t.Fatal(err)
		}
	}
}

// connect opens a connection to the distributor that stays until the end.
func (g *stage) connect() net.Conn {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(g.distributor.port))
	connection, err := net.DialTimeout("tcp", address, patience())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { connection.Close() })
	return connection
}
