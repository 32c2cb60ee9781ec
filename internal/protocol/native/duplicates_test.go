package native

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// remembering returns a handler with a deduplication window.
func remembering(t *testing.T) options {
	t.Helper()
	window, err := dedupe.Open(dedupe.Config{Window: time.Hour, Packets: 10_000}, slog.New(slog.DiscardHandler), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o := standard()
	o.window = window
	return o
}

const duplicateResponse = `{"status":"accepted","packet_id":"p","duplicate":true}`

func (a response) wantDuplicate(t testing.TB) {
	t.Helper()
	if a.StatusCode != 202 || a.text != duplicateResponse {
		t.Errorf("%d %s, want 202 %s", a.StatusCode, a.text, duplicateResponse)
	}
}

func (f *fixture) wantDuplicates(want int) {
	f.Helper()
	if got := int(f.handler.intake.Duplicates()); got != want {
		f.Errorf("%d duplicates were counted, want %d", got, want)
	}
}

func TestDuplicate(t *testing.T) {
	f := serve(t, remembering(t))
	f.exchange(post(aPacket("p", 0))).wantAccepted(t, "p")
	f.exchange(post(aPacket("p", 0))).wantDuplicate(t)
	f.exchange(post(aPacket("p", 0) + "\r\n")).wantDuplicate(t) // as the end of a line that is sent alone
	f.exchange(chunked(aPacket("p", 0), 7)).wantDuplicate(t)
	f.exchange(withAck("delivered", post(aPacket("p", 0)))).wantDuplicate(t)
	f.exchange(post(by("other", aPacket("p", 0)))).wantAccepted(t, "p")
	a := f.exchange(post(aPacket("p", 0)+"\n"+aPacket("q", 0)+"\n"+aPacket("q", 0), linesType))
	if want := `{"status":"accepted","accepted":3,"duplicates":2}`; a.StatusCode != 202 || a.text != want {
		t.Errorf("%d %s, want 202 %s", a.StatusCode, a.text, want)
	}
	a = f.exchange(withAck("delivered", post(aPacket("p", 0)+"\n"+aPacket("q", 0), linesType)))
	if want := `{"status":"accepted","accepted":2,"duplicates":2}`; a.StatusCode != 202 || a.text != want {
		t.Errorf("%d %s, want 202 %s", a.StatusCode, a.text, want)
	}
	if got := len(f.journal.records()); got != 3 {
		t.Errorf("the journal was given %d packets, want 3", got)
	}
	f.wantDuplicates(8)
	f.wantConflicts(0)
	f.wantCounted(nil)
}

func (f *fixture) wantConflicts(want int) {
	f.Helper()
	if got := int(f.window.Conflicts()); got != want {
		f.Errorf("%d conflicts were counted, want %d", got, want)
	}
}

// Different content under known ids is a new packet, and the content of both is known afterwards.
// Ids are the same however they are escaped.
func TestOtherContentUnderKnownIDs(t *testing.T) {
	f := serve(t, remembering(t))
	contents := []string{aPacket("p", 0), aPacket("p", 700), named(`\u0070`, aPacket("p", 0)), by(`\u0065`, aPacket("p", 0))}
	for _, body := range contents {
		if a := f.exchange(post(body)); a.StatusCode != 202 || strings.Contains(a.text, "duplicate") {
			t.Errorf("%s is answered %d %s", body, a.StatusCode, a.text)
		}
	}
	for _, body := range contents {
		if a := f.exchange(post(body)); a.StatusCode != 202 || !strings.Contains(a.text, `"duplicate":true`) {
			t.Errorf("%s, sent again, is answered %d %s", body, a.StatusCode, a.text)
		}
	}
	a := f.exchange(post(strings.Join(contents, "\n")+"\n"+aPacket("p", 800)+"\n"+aPacket("p", 900), linesType))
	if want := `{"status":"accepted","accepted":6,"duplicates":4}`; a.StatusCode != 202 || a.text != want {
		t.Errorf("%d %s, want 202 %s", a.StatusCode, a.text, want)
	}
	if got := len(f.journal.records()); got != 6 {
		t.Errorf("the journal was given %d packets, want 6", got)
	}
	f.wantDuplicates(8)
	f.wantConflicts(5)
}

// A refused packet is never counted as a conflict, however often it is sent.
func TestRefusedPacketIsNoConflict(t *testing.T) {
	f := serve(t, remembering(t))
	f.exchange(post(aPacket("p", 0))).wantAccepted(t, "p")
	f.journal.putErr = journal.ErrFull
	for range 3 {
		f.exchange(post(aPacket("p", 700))).wantRefusal(t, 503, problem.Overloaded)
	}
	f.wantConflicts(0)
	f.journal.putErr = nil
	f.exchange(post(aPacket("p", 700))).wantAccepted(t, "p")
	f.wantConflicts(1)
}

// A packet with the ids of an in-flight packet and different content does not wait for it, and does
// not get its response.
func TestOtherContentInFlight(t *testing.T) {
	for _, forms := range [][]string{{jsonType, jsonType}, {jsonType, linesType}, {linesType, jsonType}, {linesType, linesType}} {
		f := serve(t, remembering(t))
		f.journal.entered, f.journal.gate = make(chan struct{}), make(chan struct{})
		one := f.asking(post(aPacket("p", 0), forms[0]))
		<-f.journal.entered
		two := f.asking(post(aPacket("p", 700), forms[1]))
		select {
		case <-f.journal.entered: // the packet does not wait
		case <-time.After(time.Minute):
			f.journal.gate <- struct{}{}
			t.Fatal("other content waits for the packet in flight with its ids")
		}
		f.journal.gate <- struct{}{}
		f.journal.gate <- struct{}{}
		for _, a := range []response{<-one, <-two} {
			if a.StatusCode != 202 || strings.Contains(a.text, "duplicate") {
				t.Errorf("%v: %d %s", forms, a.StatusCode, a.text)
			}
		}
		if got := len(f.journal.records()); got != 2 {
			t.Errorf("the journal was given %d packets, want 2", got)
		}
		f.wantDuplicates(0)
		f.wantConflicts(1)
	}
}

// A packet that was refused was not accepted, whatever the reason.
func TestRefusedPacketIsNoDuplicate(t *testing.T) {
	f := serve(t, remembering(t))
	for _, request := range []string{post(aPacket("p", 0)), post(aPacket("p", 0), linesType)} {
		f.journal.putErr = journal.ErrFull
		f.exchange(request).wantRefusal(t, 503, problem.Overloaded)
	}
	f.journal.putErr = nil
	f.exchange(post(aPacket("p", 0))).wantAccepted(t, "p")
}

// A packet that is sent again while the journal stores it waits, and gets the result of the first
// attempt.
func TestDuplicateInFlight(t *testing.T) {
	single, lines := post(aPacket("p", 0)), post(aPacket("p", 0), linesType)
	for _, first := range []string{single, lines} {
		for _, second := range []string{single, lines} {
			for _, failure := range []error{nil, journal.ErrUnwritable} {
				f := serve(t, remembering(t))
				f.journal.entered, f.journal.gate = make(chan struct{}), make(chan struct{})
				f.journal.putErr = failure
				one := f.asking(first)
				<-f.journal.entered
				two := f.asking(second)
				wantWaiting(t)
				select {
				case a := <-two:
					t.Fatalf("it did not wait: %d %s", a.StatusCode, a.text)
				default:
				}
				f.journal.gate <- struct{}{}
				a, b := <-one, <-two
				if failure != nil {
					a.wantRefusal(t, 503, problem.JournalUnwritable)
					b.wantRefusal(t, 503, problem.JournalUnwritable)
					continue
				}
				if a.StatusCode != 202 || b.StatusCode != 202 || !strings.Contains(b.text, `"duplicate`) || strings.Contains(a.text, "duplicate") {
					t.Errorf("%s, then %s", a.text, b.text)
				}
				if got := len(f.journal.records()); got != 1 {
					t.Errorf("the journal was given %d packets", got)
				}
				f.wantDuplicates(1)
			}
		}
	}
}

// wantWaiting waits until a request waits for the result of another one.
func wantWaiting(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	deadline := time.After(time.Minute)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("dedupe.(*Reservation).Wait")) {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatal("no request waits for another")
		}
	}
}

// A line that is repeated in one body waits for its first occurrence, and is one packet.
func TestDuplicateLinesThatAreRefused(t *testing.T) {
	f := serve(t, remembering(t))
	f.journal.putErr = journal.ErrUnwritable
	r := f.exchange(post(aPacket("p", 0)+"\n"+aPacket("p", 0), linesType)).wantRefusal(t, 503, problem.JournalUnwritable)
	if len(r.Refused) != 2 || r.Refused[0].Code != r.Refused[1].Code || r.Refused[1].PacketID != "p" {
		t.Errorf("refused %+v", r.Refused)
	}
}

// Requests that wait for each other's packets, in any order, all end, and each packet is taken
// once.
func TestDuplicatesInManyBodies(t *testing.T) {
	f := serve(t, remembering(t))
	const bodies, packets = 20, 200
	var all sync.WaitGroup
	for b := range bodies {
		all.Go(func() {
			var lines []string
			for i := range packets {
				n := (i + b*packets/bodies) % packets
				if b%2 == 0 {
					n = packets - 1 - n
				}
				lines = append(lines, aPacket(fmt.Sprint(n), 0))
			}
			a := f.exchange(post(strings.Join(lines, "\n"), linesType))
			if a.StatusCode != 202 || !strings.Contains(a.text, fmt.Sprintf(`"accepted":%d`, packets)) {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		})
	}
	all.Wait()
	if got := len(f.journal.records()); got != packets {
		t.Errorf("the journal was given %d packets, want %d", got, packets)
	}
	f.wantDuplicates((bodies - 1) * packets)
}
