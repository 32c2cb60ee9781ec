package deadletter

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The first dead letter of a row is logged, with all that is needed to find it; the next
// one after a quiet minute, with how many were not.
func TestDeadLettersAreLoggedOnceEachRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, DefaultConfig(t.TempDir()))
		keep := func(analyzer, reason, id string) {
			f.letters.Keep([]Letter{{aPacket(t, bodyOf(id)), analyzer, reason, strings.Repeat("é", 150)}})
		}
		for i := range 10 {
			keep("a", "malformed", "one")
			if i == 0 {
				for _, part := range []string{
					"level=WARN", "emitter_id=e", "packet_id=one", "analyzer=a", "reason=malformed", "kept_in=" + f.letters.config.Dir,
					"detail=" + strings.Repeat("é", 100) + "… ", "not_logged_before=0",
				} {
					if !strings.Contains(f.log.String(), part) {
						t.Errorf("%q is missing: %s", part, f.log)
					}
				}
			}
			time.Sleep(quiet - time.Second)
		}
		keep("a", "other", "two")
		keep("b", "malformed", "three")
		keep("a", "malformed", "one")
		wantLogged(t, f, 3)
		time.Sleep(quiet)
		keep("a", "malformed", "four")
		keep("a", "malformed", "four")
		wantLogged(t, f, 4)
		if !strings.Contains(f.log.String(), "packet_id=four") || !strings.Contains(f.log.String(), "not_logged_before=10") {
			t.Errorf("after a quiet minute: %s", f.log)
		}
	})
}

func wantLogged(t *testing.T, f *fixture, want int) {
	t.Helper()
	if got := strings.Count(f.log.String(), "has become a dead letter"); got != want {
		t.Errorf("%d are logged, want %d: %s", got, want, f.log)
	}
}

// What is remembered for that does not grow with what is told.
func TestLogOfDeadLettersIsBounded(t *testing.T) {
	f := open(t, DefaultConfig(t.TempDir()))
	for i := range 100 {
		f.letters.Keep([]Letter{{aPacket(t, bodyOf("one")), "a", strings.Repeat("x", i), ""}, {aPacket(t, bodyOf("one")), strings.Repeat("x", i), "other", ""}})
	}
	if len(f.letters.told) != 1 {
		t.Errorf("%d rows", len(f.letters.told))
	}
}

// A letter that is not written is not said to be kept.
func TestLostDeadLettersAreNotSaidToBeKept(t *testing.T) {
	f := open(t, DefaultConfig("/dev/null/nowhere"))
	f.keep(bodyOf("one"))
	wantLogged(t, f, 0)
	if !strings.Contains(f.log.String(), "cannot be written and are lost") {
		t.Error(f.log)
	}
}
