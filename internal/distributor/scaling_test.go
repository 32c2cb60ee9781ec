package distributor

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/autoscale"
)

// scaleOf returns the latest decision about a group.
func (s *system) scaleOf(group string) autoscale.Decision {
	for _, one := range s.Scale() {
		if one.Group == group {
			return one
		}
	}
	return autoscale.Decision{}
}

// The pace of an analyzer is measured while packets wait for it, and then determines how many
// analyzers its group needs; the analyzers without a group need a different number.
func TestScale(t *testing.T) {
	p := newPool(t, 2)
	p.scale(2)
	other := analyzertest.New(t)
	settings := p.config(t, Target{ID: "other", URL: other.URL(), Weight: 0.5})
	settings.Memory.QueuePackets, settings.Analyzer.QueuePackets = 2000, 500
	settings.Autoscale.QuietTime, settings.Autoscale.Max = 0, 50
	s := startAlone(t, settings)
	until(t, "all are healthy, and were looked at", func() bool { return s.eligible() == 3 && s.scaleOf("pool").Healthy == 2 })
	if d := s.scaleOf("pool"); d.Current != 2 || d.Desired != 2 || d.Pace != 0 || !strings.Contains(d.Reason, "is not known") {
		t.Errorf("%+v", d)
	}
	const pace = 200 // packets per second, of 50.5 messages
	for _, a := range p.analyzers {
		a.Behave(analyzertest.Behaviour{Service: time.Second / pace, Workers: 1})
	}
	end := s.load(8, false)
	defer end()
	until(t, "the pace is known", func() bool { return s.scaleOf("pool").Pace > 0 })
	d := s.scaleOf("pool")
	if d.Pace > 1.5*50.5*pace || d.Pace < 5*pace { // a busy machine reduces the pace
		t.Errorf("the pace is %v", d.Pace)
	}
	if want := int(math.Ceil((d.Arriving + d.Backlog/60) / (d.Pace * 0.8))); d.Needed != want || d.Desired != min(max(want, 1), 50) {
		t.Errorf("%d are needed, %d desired, want %d: %+v", d.Needed, d.Desired, want, d)
	}
	values := s.scrape(t)
	for _, group := range []string{"pool", autoscale.Default} {
		desired, known := values[fmt.Sprintf("distributor_desired_analyzers{group=%s}", group)]
		current := values[fmt.Sprintf("distributor_current_analyzers{group=%s}", group)]
		if want := s.scaleOf(group).Current; !known || desired < 1 || int(current) != want {
			t.Errorf("%s: desired %v, current %v, want %d", group, desired, current, want)
		}
	}
	end()
	until(t, "all is delivered", func() bool { status := s.Status(); return status.Delivered == status.Accepted })
	until(t, "one analyzer is sufficient", func() bool { d := s.scaleOf("pool"); return d.Desired == 1 && d.Backlog == 0 && d.Arriving == 0 })
}

// A group without members needs the minimum; a drained group is omitted.
func TestScaleOfGroupsWithoutMembers(t *testing.T) {
	p := newPool(t, 1)
	other := analyzertest.New(t)
	settings := p.config(t, Target{ID: "other", URL: other.URL(), Weight: 0.5})
	settings.Autoscale.Min = 2
	s := startAlone(t, settings)
	until(t, "the scale is decided", func() bool { return s.scaleOf("pool").Desired == 2 })
	if d := s.scaleOf("pool"); d.Current != 0 || !strings.Contains(d.Reason, "AUTOSCALE_MIN is 2") {
		t.Errorf("%+v", d)
	}
	p.rescale(s, 1)
	until(t, "the member is there", func() bool { return s.scaleOf("pool").Current == 1 })
	s.setState(t, "pool", StateDrain)
	until(t, "the drained group is omitted", func() bool { return s.scaleOf("pool").Group == "" && s.scaleOf(autoscale.Default).Current == 1 })
}

// Healthy groups have shares by weight; an unhealthy group is counted with the share that it would
// get.
func TestGroupShare(t *testing.T) {
	a, b, c := &groupLoad{weight: 0.5, healthy: 1}, &groupLoad{weight: 0.3, healthy: 2}, &groupLoad{weight: 0.2}
	all := []*groupLoad{a, b, c}
	for i, want := range []float64{0.625, 0.375, 0.2} {
		if got := all[i].share(all); math.Abs(got-want) > 1e-12 {
			t.Errorf("group %d has the share %v, want %v", i, got, want)
		}
	}
}
