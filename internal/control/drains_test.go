package control

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/events"
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

// A drain is found by its operation after another drain of the same analyzer has begun, also after a
// restart, and says that it was superseded if it had not ended.
func TestSupersededDrains(t *testing.T) {
	r, first := draining(t)
	state := func(state string) string {
		return r.mustSucceed(r.PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{State: &state, Deadline: pointer(time.Hour)})).Operation
	}
	second := state(distributor.StateMaint)
	third := state(distributor.StateDrain)
	check := func(when string) {
		t.Helper()
		until(t, "the drains have ended "+when, func() bool {
			return !slices.ContainsFunc([]string{first, second, third}, func(operation string) bool {
				one, ok := r.DrainOf(operation)
				return ok && one.Ended == nil
			})
		})
		for operation, want := range map[string][]string{first: {drainSuperseded}, second: {drainSuperseded, distributor.DrainCut}, third: {distributor.Drained, distributor.DrainCut}} {
			if one, ok := r.DrainOf(operation); !ok || one.Ended == nil || !slices.Contains(want, one.Result) || one.Proof.Result != one.Result {
				t.Errorf("%s: %s is %+v, want %s", when, operation, one, want)
			}
		}
		if list := r.Drains(); len(list) != 1 || list[0].Operation != third {
			t.Errorf("%s: the list has %+v", when, list)
		}
	}
	r.analyzers[1].Behave(analyzertest.Behaviour{})
	check("at first")
	r.stop()
	r.open()
	check("after a restart")
	if _, ok := r.DrainOf("drain-99"); ok {
		t.Error("there is a drain that never was")
	}
}

// The drains of one analyzer are bounded; the oldest ended ones go first.
func TestSupersededDrainsAreBounded(t *testing.T) {
	r := start(t, "")
	ended := time.Now()
	r.drains.mu.Lock()
	defer r.drains.mu.Unlock()
	for n := range int64(maxDrains + 10) {
		one := &drain{DrainStatus: DrainStatus{Operation: fmt.Sprint(operationPrefix, n), Analyzer: "a2", Ended: &ended}, cancel: func() {}}
		r.drains.makeLatestLocked(one)
	}
	if kept := r.drains.superseded; len(kept) != maxDrains-1 || kept[0].Operation != "drain-10" {
		t.Errorf("%d are kept, from %s", len(kept), kept[0].Operation)
	}
}

// A start restores more drains than are kept, half of which were superseded without a reported end.
func TestManyDrainsAreRestored(t *testing.T) {
	r := start(t, "")
	ended := time.Now()
	var past []events.Event
	report := func(kind string, status DrainStatus) {
		status.Operation = fmt.Sprint(operationPrefix, len(past)+1)
		text, err := json.Marshal(status)
		if err != nil {
			t.Fatal(err)
		}
		past = append(past, events.Event{Kind: kind, Detail: json.RawMessage(text)})
	}
	for n := range maxDrains {
		id := fmt.Sprint("b", n)
		report(drainStarted, DrainStatus{Analyzer: id})
		report(drainEnded, DrainStatus{Analyzer: id, Ended: &ended})
	}
	r.drains.restore(past)
	if latest, superseded := len(r.drains.latest), len(r.drains.superseded); latest+superseded > maxDrains {
		t.Errorf("%d and %d drains are kept", latest, superseded)
	}
	for _, one := range r.drains.superseded {
		if one.Result != drainSuperseded {
			t.Errorf("%s: %q", one.Operation, one.Result)
		}
	}
}

// The event of the beginning comes before that of the end, however soon the drain ends.
func TestBeginningOfADrainComesFirst(t *testing.T) {
	r := start(t, "")
	r.drains.expectOne(operator, "a2", removal)
	r.drains.mu.Lock()
	for _, one := range r.drains.expectedLocked() {
		r.drains.beginLocked(one)
	}
	last := r.Events().After(r.Events().Last()-1, 1)
	r.drains.mu.Unlock() // from here on the analyzer may leave
	if len(last) != 1 || last[0].Kind != drainStarted || last[0].Path != analyzersPrefix+"a2" {
		t.Errorf("the last event is %+v", last)
	}
	r.drains.removed("a2", "", distributor.DrainProof{Result: distributor.Drained})
	if last := r.Events().After(r.Events().Last()-1, 1); last[0].Kind != drainEnded {
		t.Errorf("the last event is %+v", last)
	}
}
