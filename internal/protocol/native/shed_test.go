package native

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// shedding returns a handler of which a percentage of the capacity is used.
func shedding(t *testing.T, marks string) (o options, percent *atomic.Int64) {
	t.Helper()
	shed, err := intake.ParseShed(marks)
	if err != nil {
		t.Fatal(err)
	}
	o, percent = standard(), new(atomic.Int64)
	o.intake.Shed = shed
	o.change = func(d *intake.Dependencies) { d.Utilization = func() float64 { return float64(percent.Load()) / 100 } }
	return o, percent
}

func at(level, body string) string { return strings.Replace(body, "INFO", level, 1) }

func TestShed(t *testing.T) {
	o, percent := shedding(t, "DEBUG@80%,INFO@95%")
	f := serve(t, o)
	for _, c := range []struct {
		percent int64
		taken   string // levels
		refused string
	}{
		{0, "TRACE DEBUG INFO WARN ERROR FATAL", ""},
		{80, "TRACE DEBUG INFO WARN ERROR FATAL", ""},
		{81, "INFO unknown NOTICE WARN ERROR", "TRACE debug"},
		{95, "INFO", "DEBUG"},
		{96, "NOTICE WARN ERROR FATAL", "DEBUG INFO unknown"},
		{100, "ERROR", "INFO"},
	} {
		percent.Store(c.percent)
		for level := range strings.FieldsSeq(c.taken) {
			f.exchange(post(at(level, aPacket("p", 0)))).wantAccepted(t, "p")
		}
		for level := range strings.FieldsSeq(c.refused) {
			a := f.exchange(post(at(level, aPacket("p", 0))))
			if r := a.wantRefusal(t, 503, problem.Shed); r.PacketID != "p" || !strings.Contains(r.Detail, "%") {
				t.Errorf("%+v", r)
			}
		}
	}
	f.wantCounted(map[problem.Code]int{problem.Shed: 7})
	f.wantShed(map[packet.Level]int{packet.LevelTrace: 1, packet.LevelDebug: 3, packet.LevelInfo: 3})
}

func (f *fixture) wantShed(want map[packet.Level]int) {
	f.Helper()
	for level := packet.LevelTrace; level <= packet.LevelCritical; level++ {
		if got := int(f.handler.intake.ShedPackets(level)); got != want[level] {
			f.Errorf("%d packets of level %v were counted as shed, want %d", got, level, want[level])
		}
	}
}

// A packet is refused as a whole, for its highest level.
func TestShedWholePackets(t *testing.T) {
	o, percent := shedding(t, "INFO@50%")
	f := serve(t, o)
	percent.Store(60)
	mixed := strings.Replace(aPacket("mixed", 0), `"messages":[`, `"messages":[{"timestamp":1,"level":"ERROR","message":"m"},`, 1)
	f.exchange(post(mixed)).wantAccepted(t, "mixed")
	a := f.exchange(post(aPacket("1", 0)+"\n"+mixed+"\n"+at("debug", aPacket("2", 0)), linesType))
	if a.StatusCode != 207 || strings.Count(a.text, `"code":"shed"`) != 2 || !strings.Contains(a.text, `"accepted":1,`) {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	a.wantRetryAfter(t, 2)
	a = f.exchange(post(aPacket("1", 0)+"\n"+aPacket("2", 0), linesType))
	a.wantRefusal(t, 503, problem.Shed)
	a.wantRetryAfter(t, 2)
	if got := f.journal.records(); len(got) != 2 || got[1].body != mixed {
		t.Errorf("taken: %+v", got)
	}
	f.wantShed(map[packet.Level]int{packet.LevelDebug: 1, packet.LevelInfo: 3})
}

// A packet that was accepted before is not refused for its level.
func TestDuplicatesAreNotShed(t *testing.T) {
	o, percent := shedding(t, "INFO@50%")
	o.window = remembering(t).window
	f := serve(t, o)
	f.exchange(post(aPacket("p", 0))).wantAccepted(t, "p")
	percent.Store(60)
	f.exchange(post(aPacket("q", 0))).wantRefusal(t, 503, problem.Shed)
	f.exchange(post(aPacket("p", 0))).wantDuplicate(t)
	percent.Store(0)
	f.exchange(post(aPacket("q", 0))).wantAccepted(t, "q") // its reservation was ended
}
