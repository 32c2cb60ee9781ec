package faults

import (
	"encoding/json"
	"go/build"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// clockPatch is Go code that may change sec, the seconds of the wall clock,
// mono nanoseconds after the start; the monotonic clock is unchanged.
type clockPatch string

const (
	jumpForthAndBack  clockPatch = "if mono/300e6%2 == 1 {\nsec += 3600\n}\n"
	setBackRepeatedly clockPatch = "sec -= mono/300e6*3600\n"
)

// build builds a distributor whose standard library has a patched time.Now.
func (c clockPatch) build(t *testing.T, variant string) string {
	t.Helper()
	original := filepath.Join(build.Default.GOROOT, "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	const after = "mono -= startNano\n"
	now := strings.Index(string(text), "func Now() Time {")
	place := strings.Index(string(text[max(now, 0):]), after)
	if now < 0 || place < 0 {
		t.Skip("this version of Go has another time.Now")
	}
	at := now + place + len(after)
	jumping := string(text[:at]) + string(c) + string(text[at:])
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
	program, err := programs.program("-"+variant, "-overlay", overlay)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func clockJumps(s *system) {
	s.distributor.program = jumpForthAndBack.build(s.t, "jumping")
	s.begin()
	s.wait(2 * time.Second)
	s.assertUnaffected("while the clock jumped")
	s.analyzers[0].kill()
	s.distributor.awaitHealthy(len(s.analyzers) - 1)
	s.analyzers[0].start()
	s.distributor.awaitHealthy(len(s.analyzers))
	s.assertUnaffected("while the clock jumped and an analyzer was away")
}

func clockSetBack(s *system) {
	s.distributor.program = setBackRepeatedly.build(s.t, "set-back")
	s.begin()
	g := newScenarioRunner(s, scenario{})
	byWeight := condition{Shares: make(map[string]float64)}
	for _, a := range s.analyzers {
		byWeight.Shares[a.name] = a.Weight
	}
	first := s.analyzers[0]
	first.behave(analyzertest.Behaviour{Status: 429, RetryAfter: "1"})
	s.wait(time.Second / 2)
	first.behave(analyzertest.Behaviour{})
	g.await(byWeight)
	first.kill()
	s.distributor.awaitHealthy(len(s.analyzers) - 1)
	first.start()
	s.distributor.awaitHealthy(len(s.analyzers))
	g.await(byWeight)
	s.assertUnaffected("while the clock was set back")
}
