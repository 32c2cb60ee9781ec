package control

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

// draining starts a controller with a drain of a2, which holds packets.
func draining(t *testing.T) (r *running, operation string) {
	t.Helper()
	r = start(t, "sender_timeout_ms: 60000\n")
	r.analyzers[1].Behave(analyzertest.Behaviour{Hang: true, Probes: true})
	r.halted = func() { r.analyzers[1].Behave(analyzertest.Behaviour{}) }
	for i := range 20 {
		if got := r.ingest("", fmt.Sprint(i)); got != http.StatusAccepted {
			t.Fatal(got)
		}
	}
	until(t, "a2 has got packets", func() bool { return r.analyzers[1].Requests() > 0 })
	result := r.mustSucceed(r.PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{State: pointer(distributor.StateDrain), Deadline: pointer(time.Hour)}))
	return r, result.Operation
}

func (r *running) ended(operation string) func() bool {
	return func() bool {
		drain, ok := r.Drain("a2")
		return ok && drain.Operation == operation && drain.Ended != nil
	}
}

// A drain continues after a restart, under its id, and its proofs are kept.
func TestDrainSurvivesRestarts(t *testing.T) {
	r, operation := draining(t)
	before, _ := r.Drain("a2")
	r.stop()
	r.open()
	until(t, "the drain ends", r.ended(operation))
	got, _ := r.Drain("a2")
	if got.Kind != distributor.StateDrain || !got.Started.Equal(before.Started) || !got.Deadline.Equal(before.Deadline) || got.Result != distributor.Drained || got.Restarts != 1 {
		t.Errorf("%+v", got)
	}
	if p := got.BeforeRestart; p == nil || p.Held.Packets == 0 || p.Held.Packets != p.Delivered+p.Rerouted+p.DeadLettered+p.Remaining {
		t.Errorf("%+v", p)
	}
	for range 2 { // a drain that has ended does not change
		r.stop()
		r.open()
		if again, _ := r.Drain("a2"); again.Operation != operation || !again.Ended.Equal(*got.Ended) || again.Restarts != 1 || again.BeforeRestart == nil {
			t.Errorf("%+v", again)
		}
	}
	result := r.mustSucceed(r.PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{State: pointer(distributor.StateMaint)}))
	if result.Operation == operation || result.Operation == "" {
		t.Errorf("another drain has the id %q", result.Operation)
	}
}

// A drain continues after a crash, too; the removal of an analyzer has ended with the process.
func TestDrainSurvivesCrashes(t *testing.T) {
	r, operation := draining(t)
	events := filepath.Join(r.dir, "data", "events.ndjson")
	text, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	if err := os.WriteFile(events, append(text, `{"id":`...), 0o600); err != nil { // an incomplete line, as after a crash
		t.Fatal(err)
	}
	r.open()
	until(t, "the drain ends", r.ended(operation))
	if got, _ := r.Drain("a2"); got.Restarts != 1 || got.BeforeRestart != nil || got.Result != distributor.Drained {
		t.Errorf("%+v", got)
	}
	removed := r.mustSucceed(r.RemoveAnalyzer(t.Context(), operator, "a2", nil))
	until(t, "the analyzer has left", r.ended(removed.Operation))
	if text, err = os.ReadFile(events); err != nil {
		t.Fatal(err)
	}
	r.stop()
	var left []byte // without the event of the end of the removal
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, []byte(`"kind":"drained"`)) {
			left = append(left, line...)
		}
	}
	if err := os.WriteFile(events, left, 0o600); err != nil {
		t.Fatal(err)
	}
	r.open()
	until(t, "the removal is over", r.ended(removed.Operation))
	if got, _ := r.Drain("a2"); got.Result != drainCanceled || got.Kind != removal {
		t.Errorf("%+v", got)
	}
}

// Events survive restarts, and their ids rise.
func TestEventsSurviveRestarts(t *testing.T) {
	r := start(t, "")
	r.mustSucceed(r.PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{Weight: pointer(0.3)}))
	last := r.Events().Last()
	r.stop()
	r.open()
	old := r.Events().After(0, 100)
	if len(old) == 0 || old[0].Path != "analyzers/a2/weight" || old[0].Actor != "ann" || fmt.Sprintf("%s", old[0].New) != "0.3" {
		t.Errorf("%+v", old)
	}
	r.mustSucceed(r.PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{Weight: pointer(0.2)}))
	if next := r.Events().After(last, 100); len(next) != 1 || next[0].ID != last+1 {
		t.Errorf("%+v", next)
	}
}
