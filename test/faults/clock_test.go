package faults

import (
	"encoding/json"
	"go/build"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// jumpingClock builds a distributor whose wall clock is an hour ahead in every
// other 300 ms, while its monotonic clock runs on, as when somebody sets the
// machine's clock. It does so by putting another time.Now into the standard
// library of that build alone.
func jumpingClock(t *testing.T) string {
	t.Helper()
	original := filepath.Join(build.Default.GOROOT, "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	const before = "mono -= startNano\n"
	now := strings.Index(string(text), "func Now() Time {")
	place := strings.Index(string(text[max(now, 0):]), before)
	if now < 0 || place < 0 {
		t.Skip("this version of Go has another time.Now")
	}
	at := now + place
	jumping := string(text[:at]) + "if mono/300e6%2 == 1 {\nsec += 3600\n}\n" + string(text[at:])
	folder := t.TempDir()
	changed, overlay := filepath.Join(folder, "time.go"), filepath.Join(folder, "overlay.json")
	replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{changed: []byte(jumping), overlay: replaced} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program, err := programs.program("-jumping", "-overlay", overlay)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func clockJumps(s *system) {
	s.distributor.program = jumpingClock(s.t)
	s.begin()
	s.last(2 * time.Second)
	s.calm("while the clock jumped")
	s.analyzers[0].kill()
	s.distributor.awaitHealthy(len(s.analyzers) - 1)
	s.analyzers[0].start()
	s.distributor.awaitHealthy(len(s.analyzers))
	s.calm("while the clock jumped and an analyzer was away")
}
