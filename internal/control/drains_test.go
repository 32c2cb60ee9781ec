package control

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/logstreamer/logstreamer/internal/distributor"
)

// leave begins the drain of an analyzer at a URL, as a removal does.
func (r *running) leave(id, url string) (operation string) {
	changes := []Changed{{Path: analyzersPrefix + id, Old: json.RawMessage(`{}`), New: json.RawMessage("null")}}
	operation = r.drains.expect(operator, changes)
	r.drains.mu.Lock()
	for _, one := range r.drains.expectedLocked() {
		one.url = url
	}
	r.drains.mu.Unlock()
	r.drains.follow(operator, changes)
	return operation
}

// proofs returns the proofs with which a drain has ended, by the events.
func (r *running) proofs(operation string) (proofs []distributor.DrainProof) {
	for _, e := range r.Events().After(0, maxEvents) {
		if status, ok := e.Detail.(DrainStatus); ok && e.Kind == drainEnded && status.Operation == operation {
			proofs = append(proofs, status.Proof)
		}
	}
	return proofs
}

func (r *running) isDraining(operation string) bool {
	return slices.ContainsFunc(r.Drains(), func(one DrainStatus) bool { return one.Operation == operation && one.Ended == nil })
}

// An analyzer that is added again with the id of one that still leaves has drains of its own.
func TestDrainOfAnAnalyzerThatIsAddedAgain(t *testing.T) {
	r := start(t, "")
	left := r.leave("a2", "http://before")
	drain := r.mustSucceed(r.PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{State: pointer(distributor.StateDrain)})).Operation
	if len(r.proofs(left)) > 0 || !r.isDraining(left) {
		t.Errorf("the removal has ended, or is not listed: %+v", r.Drains())
	}
	r.drains.removed("a2", "http://before", distributor.DrainProof{Result: distributor.DrainCut, Rerouted: 7})
	if got := r.proofs(left); len(got) != 1 || got[0].Rerouted != 7 {
		t.Errorf("the removal ends with %+v", got)
	}
	until(t, "the latest drain ends", func() bool {
		last, ok := r.Drain("a2")
		return ok && last.Ended != nil
	})
	if last, _ := r.Drain("a2"); last.Operation != drain || last.Result != distributor.Drained {
		t.Errorf("the latest drain is %+v", last)
	}
}

// The drains of analyzers with one id end in the order in which they leave, each with its own proof.
func TestDrainsOfOneID(t *testing.T) {
	r := start(t, "")
	first, second := r.leave("a2", "http://first"), r.leave("a2", "http://second")
	r.drains.removed("a2", "http://second", distributor.DrainProof{Result: distributor.Drained, Delivered: 2})
	if !r.isDraining(first) || r.isDraining(second) {
		t.Errorf("the second one has left: %+v", r.Drains())
	}
	r.drains.removed("a2", "http://first", distributor.DrainProof{Result: distributor.Drained, Delivered: 1})
	for operation, delivered := range map[string]int64{first: 1, second: 2} {
		if got := r.proofs(operation); len(got) != 1 || got[0].Delivered != delivered || r.isDraining(operation) {
			t.Errorf("%s ends with %+v, want %d delivered", operation, got, delivered)
		}
	}
	if len(r.drains.leaving) > 0 {
		t.Errorf("%v", r.drains.leaving)
	}
}
