package deadletter

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The first dead letter of a series is logged with its attributes, the next one after
// quietPeriod, with the number of suppressed ones.
func TestFirstDeadLetterOfASeriesIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := open(t, DefaultConfig(t.TempDir()))
		add := func(analyzer, reason, id string) {
			f.store.Add([]Entry{{aPacket(t, bodyOf(id)), analyzer, reason, strings.Repeat("é", 150)}})
		}
		for i := range 10 {
			add("a", "malformed", "one")
			if i == 0 {
				for _, part := range []string{
					"level=WARN", "emitter_id=e", "packet_id=one", "analyzer=a", "reason=malformed", "stored_in=" + f.store.config.Dir,
					"detail=" + strings.Repeat("é", 100) + "… ", "suppressed=0",
				} {
					if !strings.Contains(f.log.String(), part) {
						t.Errorf("%q is missing: %s", part, f.log)
					}
				}
			}
			time.Sleep(quietPeriod - time.Second)
		}
		add("a", "other", "two")
		add("b", "malformed", "three")
		add("a", "malformed", "one")
		wantLogged(t, f, 3)
		time.Sleep(quietPeriod)
		add("a", "malformed", "four")
		add("a", "malformed", "four")
		wantLogged(t, f, 4)
		if !strings.Contains(f.log.String(), "packet_id=four") || !strings.Contains(f.log.String(), "suppressed=10") {
			t.Errorf("after quietPeriod: %s", f.log)
		}
	})
}

func wantLogged(t *testing.T, f *fixture, want int) {
	t.Helper()
	if got := strings.Count(f.log.String(), "has become a dead letter"); got != want {
		t.Errorf("%d are logged, want %d: %s", got, want, f.log)
	}
}

// The number of series is limited.
func TestSeriesAreLimited(t *testing.T) {
	f := open(t, DefaultConfig(t.TempDir()))
	for i := range 100 {
		f.store.Add([]Entry{{aPacket(t, bodyOf("one")), "a", strings.Repeat("x", i), ""}, {aPacket(t, bodyOf("one")), strings.Repeat("x", i), "other", ""}})
	}
	if len(f.store.series) != 1 {
		t.Errorf("%d series", len(f.store.series))
	}
}

// A lost dead letter is not logged as stored.
func TestLostDeadLettersAreNotLoggedAsStored(t *testing.T) {
	f := open(t, DefaultConfig("/dev/null/missing"))
	f.add(bodyOf("one"))
	wantLogged(t, f, 0)
	if !strings.Contains(f.log.String(), "cannot be written and are lost") {
		t.Error(f.log)
	}
}
