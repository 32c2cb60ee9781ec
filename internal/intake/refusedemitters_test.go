package intake

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// refusePackets counts a refusal for each emitter.
func (r *refusedEmitters) refusePackets(t *testing.T, now time.Time, emitters ...string) {
	t.Helper()
	for _, emitter := range emitters {
		body := text(emitter, "p", "INFO")
		info, err := packet.Check(body, 1)
		if err != nil {
			t.Fatal(err)
		}
		r.add(info.EmitterID, body, RefusedPacket{Reason: "rate_limited", Detail: "too fast", PacketID: "p"}, now)
	}
}

func TestRefusedEmittersAreCounted(t *testing.T) {
	r := newRefusedEmitters(discard())
	r.refusePackets(t, noon, "b", "a", "b", `\u0062`)
	top := r.top(2, noon.Add(time.Second))
	if len(top) != 2 || top[0].EmitterID != "b" || top[0].Packets != 3 || top[1].EmitterID != "a" || top[1].Packets != 1 {
		t.Errorf("%+v", top)
	}
	if top := r.top(9, noon.Add(time.Minute)); len(top) != 1 || top[0].Packets != 1 || top[0].Last != noon || top[0].Reason != "rate_limited" {
		t.Errorf("a minute later %+v", top)
	}
	if top := r.top(9, noon.Add(time.Hour)); len(top) != 0 {
		t.Errorf("an hour later %+v", top)
	}
}

// The reasons of an emitter are counted, and forgotten with the emitter; an emitter that takes the
// place of another one does not inherit its reasons.
func TestRefusedEmittersHaveReasons(t *testing.T) {
	r := newRefusedEmitters(discard())
	r.refusePackets(t, noon, "b", "b", "b")
	r.counts["b"].count("malformed", noon)
	if got := fmt.Sprint(r.top(1, noon)[0].Reasons); got != "[{rate_limited 3} {malformed 1}]" {
		t.Error(got)
	}
	if got := fmt.Sprint(r.top(1, noon.Add(time.Minute))[0].Reasons); got != "[{rate_limited 1}]" {
		t.Errorf("a minute later %s", got)
	}
	for n := range maxRefusedEmitters - 1 { // the list is full then
		r.refusePackets(t, noon.Add(time.Minute), fmt.Sprint(n))
	}
	*r.counts["1"] = RefusedEmitter{EmitterID: "1", Packets: 0, Reasons: []RefusedReason{{"too_large", 9}}}
	r.refusePackets(t, noon.Add(time.Minute), "last")
	if got := fmt.Sprint(r.counts["last"].Reasons); got != "[{rate_limited 1}]" {
		t.Errorf("of an emitter in the place of another: %s", got)
	}
}

// The number of remembered emitters is bounded, and includes the emitters with the most refusals.
func TestRefusedEmittersAreBounded(t *testing.T) {
	r := newRefusedEmitters(discard())
	for n := range 10 * maxRefusedEmitters {
		r.refusePackets(t, noon, fmt.Sprint(n), "presses")
	}
	if len(r.counts) != maxRefusedEmitters {
		t.Errorf("%d are remembered", len(r.counts))
	}
	if top := r.top(1, noon); top[0].EmitterID != "presses" || top[0].Packets < 10*maxRefusedEmitters {
		t.Errorf("%+v", top)
	}
}

func TestRefusedEmittersAreLogged(t *testing.T) {
	var log bytes.Buffer
	r := newRefusedEmitters(slog.New(slog.NewTextHandler(&log, nil)))
	for second := range 21 {
		for n := range 5 {
			r.refusePackets(t, noon.Add(time.Duration(second)*time.Second), fmt.Sprint("e", n))
		}
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "packets=1 emitter_id=e0 packet_id=p code=rate_limited detail=\"too fast\"") || !strings.Contains(lines[1], "packets=50 ") {
		t.Errorf("%s", log.String())
	}
}
