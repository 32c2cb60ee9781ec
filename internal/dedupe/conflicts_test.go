package dedupe

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// An emitter that restarts and counts from 1 again sends new packets; those of both runs
// are known.
func TestOtherContentUnderKnownIDsIsNew(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 100, Dir: t.TempDir()}
	w := open(t, config, start)
	for version := range 3 {
		for n := range 5 {
			accept(t, w, changed(n, version), start)
		}
	}
	for restart := range 3 {
		for version := range 3 {
			for n := range 5 {
				if state, _ := w.begin(changed(n, version), start); state != Duplicate {
					t.Errorf("after %d restarts packet %d of run %d is not known", restart, n, version)
				}
			}
		}
		if w.len() != 15 {
			t.Errorf("after %d restarts %d packets are known, want 15", restart, w.len())
		}
		if restart == 0 && w.Conflicts() != 10 {
			t.Errorf("%d conflicts, want 10", w.Conflicts())
		}
		w.Close()
		w = open(t, config, start)
	}
	w.Close()
}

// Other content under known ids counts against Config.Packets.
func TestContentsCountAgainstTheLimit(t *testing.T) {
	w := open(t, Config{Window: time.Minute, Packets: 10}, start)
	for version := range 100 {
		accept(t, w, changed(1, version), start)
		if w.len() > 20 {
			t.Fatalf("%d packets are known, the bound is twice 10", w.len())
		}
	}
	if !knows(w, changed(1, 99)) || !knows(w, changed(1, 90)) || knows(w, changed(1, 0)) {
		t.Error("the last ten are not known, or the first is")
	}
	if w.Conflicts() != 99 {
		t.Errorf("%d conflicts, want 99", w.Conflicts())
	}
}

// Reservations of other content under the same ids are independent, in any order of
// their ends.
func TestOtherContentInFlight(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		w := open(t, Config{Window: time.Minute, Packets: 100}, start)
		var reservations []*Reservation
		for version := range 3 {
			state, reservation := w.begin(changed(1, version), start)
			if state != New {
				t.Fatalf("content %d is %v, want New", version, state)
			}
			reservations = append(reservations, reservation)
		}
		reason := errors.New("no capacity")
		for i, version := range order {
			state, other := w.begin(changed(1, version), start)
			if state != InFlight || other != reservations[version] {
				t.Fatalf("order %v: content %d is %v", order, version, state)
			}
			if i == 1 {
				reservations[version].End(reason)
			} else {
				reservations[version].End(nil)
			}
			if got := other.Wait(); (got == reason) != (i == 1) {
				t.Errorf("order %v: Wait for content %d returns %v", order, version, got)
			}
		}
		for i, version := range order {
			if got := knows(w, changed(1, version)); got != (i != 1) {
				t.Errorf("order %v: content %d is known: %v", order, version, got)
			}
		}
		if w.Conflicts() != 1 || len(w.inFlight) > 0 {
			t.Errorf("order %v: %d conflicts, want 1; %d reservations are left", order, w.Conflicts(), len(w.inFlight))
		}
	}
}

// In random histories the accepted packets are known, and each packet that was accepted
// while its ids were known with other content is a conflict.
func TestContentsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, err := Open(Config{Window: time.Minute, Packets: 1000}, discard(), start)
		if err != nil {
			t.Fatal(err)
		}
		type content struct{ n, version int }
		accepted, reservations, conflicts := map[content]bool{}, map[content]*Reservation{}, int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c := content{rapid.IntRange(0, 2).Draw(t, "packet"), rapid.IntRange(0, 4).Draw(t, "version")}
			if reservation := reservations[c]; reservation != nil && rapid.Bool().Draw(t, "end") {
				delete(reservations, c)
				if rapid.IntRange(0, 3).Draw(t, "refused") == 0 {
					reservation.End(errors.New("refused"))
					continue
				}
				for version := range 5 {
					if accepted[content{c.n, version}] {
						conflicts++
						break
					}
				}
				accepted[c] = true
				reservation.End(nil)
				continue
			}
			want := New
			if accepted[c] {
				want = Duplicate
			} else if reservations[c] != nil {
				want = InFlight
			}
			state, reservation := w.begin(changed(c.n, c.version), start)
			if state != want {
				t.Fatalf("%v is %v, want %v", c, state, want)
			}
			if state == New {
				reservations[c] = reservation
			}
		}
		if w.Conflicts() != conflicts || w.len() != len(accepted) {
			t.Fatalf("%d conflicts and %d packets, want %d and %d", w.Conflicts(), w.len(), conflicts, len(accepted))
		}
	})
}

// Forget applies to one content; others under the same ids stay known.
func TestForgetOneOfSeveralContents(t *testing.T) {
	for forgotten := range 3 {
		config := Config{Window: time.Minute, Packets: 100, Dir: t.TempDir()}
		w := open(t, config, start)
		for version := range 3 {
			accept(t, w, changed(1, version), start)
		}
		w.forget(changed(1, forgotten))
		for restart := range 2 {
			for version := range 3 {
				if got := knows(w, changed(1, version)); got != (version != forgotten) {
					t.Errorf("%d is forgotten, %d restarts: content %d is known: %v", forgotten, restart, version, got)
				}
			}
			w.Close()
			w = open(t, config, start)
		}
		accept(t, w, changed(1, forgotten), start)
		_, reservation := w.begin(changed(1, 7), start)
		_, other := w.begin(changed(1, 8), start)
		w.forget(changed(1, 8))
		reservation.End(nil)
		other.End(nil)
		if !knows(w, changed(1, 7)) || knows(w, changed(1, 8)) {
			t.Error("of two that are inFlight the wrong one is forgotten")
		}
		w.Close()
	}
}

func TestRecord(t *testing.T) {
	w := open(t, Config{Window: time.Minute, Packets: 100}, start)
	for i, test := range []struct {
		packet sample
		known  bool
	}{
		{changed(1, 0), false}, {changed(1, 0), true}, {changed(1, 1), false}, {changed(1, 0), true}, {changed(1, 1), true}, {changed(2, 0), false},
	} {
		if known := w.Record(test.packet.info, test.packet.body, start); known != test.known {
			t.Errorf("step %d: known: %v", i, known)
		}
	}
	if w.Conflicts() != 1 {
		t.Errorf("%d conflicts, want 1", w.Conflicts())
	}
}

// The first conflict of an emitter is logged, and the next one after conflictLogInterval
// without any, for up to maxLoggedEmitters.
func TestConflictsAreLoggedOnce(t *testing.T) {
	w, text := logged(t, Config{Window: time.Hour, Packets: 10_000}, start)
	now, version := start, 0
	wantLines := func(want int, emitters ...string) {
		t.Helper()
		for range 5 {
			for _, emitter := range emitters {
				version++
				accept(t, w, of(emitter, "p", fmt.Sprint(version)), now)
			}
		}
		if got := strings.Count(text.String(), "\n"); got != want || strings.Count(text.String(), "level=WARN") != want {
			t.Fatalf("%d lines, want %d: %s", got, want, text)
		}
	}
	wantLines(1, "one")
	if got := text.String(); !strings.Contains(got, "emitter_id=one packet_id=p") {
		t.Errorf("logged is %s", got)
	}
	now = now.Add(59 * time.Second)
	wantLines(2, "one", "two")
	now = now.Add(59 * time.Second)
	wantLines(2, "one") // it was not quiet for a minute
	now = now.Add(time.Minute)
	wantLines(3, "one")
	var many []string
	for i := range 3 * maxLoggedEmitters {
		many = append(many, fmt.Sprint("many", i))
	}
	wantLines(3+maxLoggedEmitters, many...) // with one for all that are too many
	if got := len(w.conflicts.last); got > maxLoggedEmitters+1 {
		t.Errorf("%d emitters are stored", got)
	}
	now = now.Add(time.Minute)
	wantLines(4+maxLoggedEmitters, "fresh")
	if got := len(w.conflicts.last); got != 1 {
		t.Errorf("%d emitters are stored after a quiet time", got)
	}
}

// Logged ids cannot break a line.
func TestLoggedIDsAreQuoted(t *testing.T) {
	w, text := logged(t, Config{Window: time.Hour, Packets: 10}, start)
	accept(t, w, of(`a\nlevel=ERROR`, "p", "1"), start)
	accept(t, w, of(`a\nlevel=ERROR`, "p", "2"), start)
	if got := text.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `emitter_id="a\nlevel=ERROR"`) {
		t.Errorf("logged is %s", got)
	}
}
