package native

import (
	"testing"
)

// FuzzDifferential sends any bytes to both ways, in two pieces, and then half-closes the
// connection. The ways must send the same responses, take the same packets, and keep or close the
// connection alike.
func FuzzDifferential(f *testing.F) {
	for i, c := range streamCases() {
		if i%7 == 0 && len(c.bytes) < 1<<10 { // more would take all the time of a short run
			f.Add([]byte(c.bytes), len(c.bytes)/2)
		}
	}
	ways := bothWays(f, standard())
	f.Fuzz(func(t *testing.T, stream []byte, at int) {
		if len(stream) > 32<<10 {
			return
		}
		at = min(max(at, 0), len(stream))
		pieces := []string{string(stream[:at]), string(stream[at:])}
		var outcomes [2]outcome
		for i, w := range ways {
			var err error
			if outcomes[i], err = w.exchange(pieces, true); err != nil {
				t.Fatalf("%s: %v", w.name, err)
			}
		}
		if !outcomes[0].same(outcomes[1]) {
			t.Errorf("by a loop %+v\nby a goroutine %+v", outcomes[0], outcomes[1])
		}
		for _, a := range outcomes[0].responses {
			if a.faults != "" {
				t.Errorf("a response with %s", a.faults)
			}
		}
	})
}
