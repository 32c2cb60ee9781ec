package ingest

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// shedding is a handler of which percent of the room are in use.
func shedding(t *testing.T, marks string) (o options, percent *atomic.Int64) {
	t.Helper()
	shed, err := ParseShed(marks)
	if err != nil {
		t.Fatal(err)
	}
	o, percent = standard(), new(atomic.Int64)
	o.config.Shed = shed
	o.change = func(d *Dependencies) { d.Utilization = func() float64 { return float64(percent.Load()) / 100 } }
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
	for level, counter := range f.handler.metrics.shed {
		if got := int(testutil.ToFloat64(counter)); got != want[level] {
			f.Errorf("%d packets of level %v were counted as shed, want %d", got, level, want[level])
		}
	}
}

// A packet is refused whole, for its highest level.
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

// What was accepted before is not refused for its level.
func TestShedSparesDuplicates(t *testing.T) {
	o, percent := shedding(t, "INFO@50%")
	remember, fullness := remembering(t).change, o.change
	o.change = func(d *Dependencies) { remember(d); fullness(d) }
	f := serve(t, o)
	f.exchange(post(aPacket("p", 0))).wantAccepted(t, "p")
	percent.Store(60)
	f.exchange(post(aPacket("q", 0))).wantRefusal(t, 503, problem.Shed)
	f.exchange(post(aPacket("p", 0))).wantDuplicate(t)
	percent.Store(0)
	f.exchange(post(aPacket("q", 0))).wantAccepted(t, "q") // its claim was ended
}

func TestParseShed(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "",
		"DEBUG@80%":            "DEBUG@80%",
		"debug@55":             "DEBUG@55%",
		" dbg@80% , INFO@95% ": "INFO@95%,DEBUG@80%",
		"warning@99.5%":        "WARN@99.5%",
	} {
		shed, err := ParseShed(text)
		if got := shed.String(); err != nil || got != want {
			t.Errorf("%q is read as %q: %v", text, got, err)
		}
	}
	for _, text := range []string{
		"DEBUG", "@80%", "DEBUG@", "DEBUG@x%", "DEBUG@0%", "DEBUG@100%", "DEBUG@-1%", "DEBUG@NaN%", "LOUD@80%",
		"ERROR@80%", "FATAL@99%", "DEBUG@80%,", ",", "DEBUG@80%;INFO@95%",
	} {
		if shed, err := ParseShed(text); err == nil || !strings.Contains(err.Error(), "\"") {
			t.Errorf("%q is read as %v, %v", text, shed, err)
		}
	}
}

// The more room is in use, the more is refused, and the more important a packet
// is, the later; what is printed is read as the same.
func TestShedIsMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var shed Shed
		for range rapid.IntRange(1, 4).Draw(t, "marks") {
			shed = append(shed, ShedThreshold{
				Level:       packet.Level(rapid.IntRange(int(packet.LevelTrace), int(packet.LevelWarn)).Draw(t, "level")),
				Utilization: float64(rapid.IntRange(1, 999).Draw(t, "permille")) / 1000,
			})
		}
		read, err := ParseShed(shed.String())
		if err != nil {
			t.Fatal(err)
		}
		sheds := func(s Shed, level packet.Level, permille int) bool {
			_, shed := s.sheds(level, func() float64 { return (float64(permille) + 0.5) / 1000 })
			return shed
		}
		for level := packet.LevelTrace; level <= packet.LevelCritical; level++ {
			for permille := range 1000 {
				now := sheds(shed, level, permille)
				if now != sheds(read, level, permille) {
					t.Fatalf("%v is not read as it is printed", shed)
				}
				if now && !sheds(shed, level, min(permille+1, 999)) || now && level > packet.LevelTrace && !sheds(shed, level-1, permille) {
					t.Fatalf("%v at %v, %d per mille", shed, level, permille)
				}
			}
		}
	})
}
