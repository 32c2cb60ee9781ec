package native

import (
	"fmt"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/problem"
)

// Each way in which a packet of a known emitter is refused is counted.
func TestEachRefusalIsCountedForItsEmitter(t *testing.T) {
	o := limited(0.001, 1)
	f := serve(t, o)
	f.journal.noCapacityFor = "full"
	f.exchange(post(by("breaks-rule", strings.Replace(aPacket("p", 0), "INFO", "", 1)))).wantRefusal(t, 400, problem.InvalidPacket)
	f.exchange(post(by("no-capacity", aPacket("full", 0)))).wantRefusal(t, 503, problem.Overloaded)
	f.exchange(post(by("is-fast", aPacket("1", 0)))).wantAccepted(t, "1")
	f.exchange(post(by("is-fast", aPacket("2", 0)))).wantRefusal(t, 429, problem.RateLimited)
	f.exchange(post(by("lines", aPacket("full", 0))+"\n"+by("line-rule", "{"+aPacket("p", 0)[1:len(aPacket("p", 0))-2]+"}"), linesType))
	reasons := make(map[string]string)
	for _, one := range f.handler.intake.RefusedEmitters(10) {
		reasons[one.EmitterID] = one.Reason
	}
	want := map[string]problem.Code{
		"breaks-rule": problem.InvalidPacket, "no-capacity": problem.Overloaded, "is-fast": problem.RateLimited,
		"lines": problem.Overloaded, "line-rule": problem.Malformed,
	}
	if fmt.Sprint(reasons) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", reasons, want)
	}
}
