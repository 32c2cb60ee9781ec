package ingest

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// refusePackets counts a refusal for each emitter.
func (r *refusedEmitters) refusePackets(t *testing.T, now time.Time, emitters ...string) {
	t.Helper()
	for _, emitter := range emitters {
		body := []byte(by(emitter, aPacket("p", 0)))
		info, err := packet.Check(body, 1)
		if err != nil {
			t.Fatal(err)
		}
		r.add(info.EmitterID, body, &problem.Problem{Code: problem.RateLimited, Detail: "too fast", PacketID: "p"}, now)
	}
}

func TestRefusedEmittersAreCounted(t *testing.T) {
	r := newRefusedEmitters(discard())
	r.refusePackets(t, noon, "b", "a", "b", `\u0062`)
	top := r.top(2, noon.Add(time.Second))
	if len(top) != 2 || top[0].EmitterID != "b" || top[0].Packets != 3 || top[1].EmitterID != "a" || top[1].Packets != 1 {
		t.Errorf("%+v", top)
	}
	if top := r.top(9, noon.Add(time.Minute)); len(top) != 1 || top[0].Packets != 1 || top[0].Last != noon || top[0].Code != problem.RateLimited {
		t.Errorf("a minute later %+v", top)
	}
	if top := r.top(9, noon.Add(time.Hour)); len(top) != 0 {
		t.Errorf("an hour later %+v", top)
	}
}

// However many emitters are refused, few are remembered, and among them those that
// are refused most.
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
	var text bytes.Buffer
	r := newRefusedEmitters(slog.New(slog.NewTextHandler(&text, nil)))
	for second := range 21 {
		for n := range 5 {
			r.refusePackets(t, noon.Add(time.Duration(second)*time.Second), fmt.Sprint("e", n))
		}
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "packets=1 emitter_id=e0 packet_id=p code=rate_limited detail=\"too fast\"") || !strings.Contains(lines[1], "packets=50 ") {
		t.Errorf("%s", text.String())
	}
}

// Each way in which a packet of a known emitter is refused is counted.
func TestEachRefusalIsCountedForItsEmitter(t *testing.T) {
	o := limited(1, 1)
	f := serve(t, o)
	f.journal.noRoomFor = "full"
	f.exchange(post(by("breaks-rule", strings.Replace(aPacket("p", 0), "INFO", "", 1)))).wantRefusal(t, 400, problem.InvalidPacket)
	f.exchange(post(by("finds-no-room", aPacket("full", 0)))).wantRefusal(t, 503, problem.Overloaded)
	f.exchange(post(by("is-fast", aPacket("1", 0)))).wantAccepted(t, "1")
	f.exchange(post(by("is-fast", aPacket("2", 0)))).wantRefusal(t, 429, problem.RateLimited)
	f.exchange(post(by("lines", aPacket("full", 0))+"\n"+by("line-rule", "{"+aPacket("p", 0)[1:len(aPacket("p", 0))-2]+"}"), linesType))
	codes := make(map[string]problem.Code)
	for _, one := range f.handler.RefusedEmitters(10) {
		codes[one.EmitterID] = one.Code
	}
	want := map[string]problem.Code{
		"breaks-rule": problem.InvalidPacket, "finds-no-room": problem.Overloaded, "is-fast": problem.RateLimited,
		"lines": problem.Overloaded, "line-rule": problem.Malformed,
	}
	if fmt.Sprint(codes) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", codes, want)
	}
}
