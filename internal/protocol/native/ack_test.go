package native

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// tell reports the outcome of each packet that the journal has taken, by id.
func (f *fixture) tell(outcomes map[string]packet.DeliveryResult) {
	f.Helper()
	for _, r := range f.journal.records() {
		if o, ok := outcomes[r.packetID]; ok {
			r.receipt <- o
		}
	}
}

// given waits until the journal has that many packets, whose delivery callbacks hold no other
// memory.
func (f *fixture) given(packets int) {
	f.Helper()
	deadline := time.After(time.Minute)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for len(f.journal.records()) < packets || f.handler.memory.Held() > 0 {
		select {
		case <-look.C:
		case <-deadline:
			f.Fatalf("the journal has %d packets, %d bytes are held", len(f.journal.records()), f.handler.memory.Held())
		}
	}
}

func TestAckDelivered(t *testing.T) {
	f := serve(t, standard())
	answered := f.asking(withAck("delivered", post(strings.Replace(aPacket("@", 0), "@", `p\u002d1`, 1))))
	f.given(1)
	f.tell(map[string]packet.DeliveryResult{"p-1": {Analyzer: `a"1`}})
	a := <-answered
	if want := `{"status":"delivered","packet_id":"p\u002d1","analyzer":"a\"1"}`; a.StatusCode != 200 || a.text != want {
		t.Errorf("%d %s, want 200 %s", a.StatusCode, a.text, want)
	}
	f.wantCounted(nil)
}

func TestAckOfDeadLetter(t *testing.T) {
	f := serve(t, standard())
	answered := f.asking(withAck("delivered", post(aPacket("p", 0))))
	f.given(1)
	f.tell(map[string]packet.DeliveryResult{"p": {Analyzer: "a-1", Rejection: "too many messages"}})
	a := <-answered
	r := a.wantRefusal(t, 422, problem.DeadLettered)
	if r.PacketID != "p" || !strings.Contains(r.Detail, "a-1") || !strings.Contains(r.Detail, "too many messages") {
		t.Errorf("%+v", r)
	}
	f.wantCounted(nil)
}

// The response says that the packet remains accepted, which is not a refusal.
func TestAckTimeout(t *testing.T) {
	o := standard()
	o.intake.AckTimeout = time.Millisecond
	f := serve(t, o)
	a := f.exchange(withAck("delivered", post(aPacket("p", 0))))
	if r := a.wantRefusal(t, 504, problem.AckTimeout); r.PacketID != "p" || !strings.Contains(r.Detail, "remains accepted") {
		t.Errorf("%+v", r)
	}
	f.wantCounted(nil)
	f.tell(map[string]packet.DeliveryResult{"p": {Analyzer: "a"}}) // later, and no other request waits

	a = f.exchange(withAck("delivered", post(aPacket("1", 0)+"\n"+aPacket("2", 0), linesType)))
	if want := `{"status":"accepted","accepted":2,"delivered":0,"dead_lettered":0}`; a.StatusCode != 504 || a.text != want {
		t.Errorf("%d %s, want 504 %s", a.StatusCode, a.text, want)
	}
	f.wantCounted(nil)
}

func TestAckOfLines(t *testing.T) {
	fine, refused := packet.DeliveryResult{Analyzer: "a"}, packet.DeliveryResult{Analyzer: "a", Rejection: "no"}
	two := aPacket("1", 0) + "\n" + aPacket("2", 0)
	for name, c := range map[string]struct {
		body     string
		outcomes map[string]packet.DeliveryResult
		status   int
		want     string
	}{
		"all":         {two, map[string]packet.DeliveryResult{"1": fine, "2": fine}, 200, `{"status":"delivered","accepted":2,"delivered":2,"dead_lettered":0}`},
		"dead letter": {two, map[string]packet.DeliveryResult{"1": fine, "2": refused}, 207, `{"status":"partial","accepted":2,"delivered":1,"dead_lettered":1,"refused":[]}`},
		"refused line": {two + "\nx", map[string]packet.DeliveryResult{"1": fine, "2": fine}, 207,
			`{"status":"partial","accepted":2,"delivered":2,"dead_lettered":0,"refused":[`},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, standard())
			answered := f.asking(withAck("delivered", post(c.body, linesType)))
			f.given(2)
			f.tell(c.outcomes)
			if a := <-answered; a.StatusCode != c.status || !strings.HasPrefix(a.text, c.want) {
				t.Errorf("%d %s, want %d %s", a.StatusCode, a.text, c.status, c.want)
			}
		})
	}
}

// The delivery of a packet that the journal did not take is not awaited.
func TestAckWithoutCapacity(t *testing.T) {
	f := serve(t, standard())
	f.journal.limitPackets = 1
	answered := f.asking(withAck("delivered", post(aPacket("1", 0)+"\n"+aPacket("2", 0), linesType)))
	f.given(1)
	f.tell(map[string]packet.DeliveryResult{"1": {Analyzer: "a"}})
	if a := <-answered; a.StatusCode != 207 || !strings.Contains(a.text, `"accepted":1,"delivered":1`) {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	f.exchange(withAck("delivered", post(aPacket("3", 0)))).wantRefusal(t, 503, problem.Overloaded)
	f.exchange(withAck("delivered", post(aPacket("3", 0), linesType))).wantRefusal(t, 503, problem.Overloaded)
	f.wantCounted(map[problem.Code]int{problem.Overloaded: 3})
}

func TestAckRefused(t *testing.T) {
	f := serve(t, standard())
	for ack, words := range map[string]string{
		"bogus": "queued, stored, delivered", "": "queued, stored, delivered", "Queued": "queued", "stored": "JOURNAL=memory",
		"%zz": "?ack=%zz", "queued;": "?ack=queued;", "%71": "?ack=q",
	} {
		for _, request := range []string{post(aPacket("p", 0)), post(aPacket("p", 0), linesType)} {
			r := f.exchange(withAck(ack, request)).wantRefusal(t, 400, problem.Malformed)
			if !strings.Contains(r.Detail, words) {
				t.Errorf("?ack=%s: %s", ack, r.Detail)
			}
		}
	}
	f.wantCounted(map[problem.Code]int{problem.Malformed: 14})
	if len(f.journal.records()) > 0 {
		t.Error("a packet was taken all the same")
	}
}

// The level of the request overrides the default.
func TestAckDefault(t *testing.T) {
	o := standard()
	o.intake.Stores, o.intake.Ack = true, intake.AckDelivered
	f := serve(t, o)
	for _, ack := range []string{"queued", "stored"} {
		f.exchange(withAck(ack, post(aPacket("p", 0)))).wantAccepted(t, "p")
	}
	answered := f.asking(post(aPacket("other", 0)))
	f.given(3)
	f.tell(map[string]packet.DeliveryResult{"other": {Analyzer: "a"}})
	if a := <-answered; a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	receipts := slices.DeleteFunc(f.journal.records(), func(r record) bool { return r.receipt == nil })
	if len(receipts) != 1 {
		t.Errorf("%d packets are waited for, want 1", len(receipts))
	}
}
