package control

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/events"
)

// interrupt records the proof so far of a drain that the stop of the distributor ends. The next
// process resumes the drain.
func (d *drains) interrupt(one *drain, proof distributor.DrainProof) {
	d.mu.Lock()
	one.Proof = proof
	status := one.DrainStatus
	d.mu.Unlock()
	d.addEvent(drainInterrupted, one, status)
}

// restore restores the drains in the events of earlier processes.
func (d *drains) restore(past []events.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := make(map[int64]*drain) // by the number, with what its last event reports
	for _, e := range past {
		if status, ok := drainOf(e); ok {
			one := &drain{DrainStatus: status, request: Request{Actor: Actor{Name: e.Actor, Address: e.Address}, Reason: e.Reason}}
			one.ctx, one.cancel = context.WithCancel(d.ctx)
			last[numberOf(status.Operation)] = one
		}
	}
	for _, number := range slices.Sorted(maps.Keys(last)) {
		d.last = number
		d.supersedeLocked(last[number])
		d.makeLatestLocked(last[number])
	}
	for _, one := range d.latest {
		if one.Ended != nil {
			one.cancel()
			continue
		}
		if one.Restarts++; one.Proof.Result != "" {
			proof := one.Proof
			one.Proof, one.BeforeRestart = distributor.DrainProof{}, &proof
		}
		d.resuming = append(d.resuming, one)
	}
}

// supersedeLocked ends the drain before another one of its analyzer, unless the previous process has
// reported the end.
func (d *drains) supersedeLocked(next *drain) {
	if before := d.latest[next.Analyzer]; before != nil && before.Ended == nil {
		before.Ended, before.Result, before.Proof.Result = new(next.Started), drainSuperseded, drainSuperseded
	}
}

// resume continues the drains that ran when the previous process ended. Their analyzers no longer
// hold the packets that they held then.
func (d *drains) resume() {
	d.mu.Lock()
	resuming := d.resuming
	d.resuming = nil
	d.mu.Unlock()
	for _, one := range resuming {
		targets := d.controller.Config().Distributor.Targets
		at := slices.IndexFunc(targets, func(t distributor.Target) bool { return t.ID == one.Analyzer })
		if at >= 0 && targets[at].State != distributor.StateReady && (one.Kind == distributor.StateDrain || one.Kind == distributor.StateMaint) {
			d.running.Go(func() { d.run(one) })
		} else {
			d.end(one, distributor.DrainProof{Result: drainCanceled})
		}
	}
}

// drainOf returns the drain that an event of an earlier process reports.
func drainOf(e events.Event) (status DrainStatus, ok bool) {
	text, isText := e.Detail.(json.RawMessage)
	ours := e.Kind == drainStarted || e.Kind == drainInterrupted || e.Kind == drainEnded
	if !ours || !isText || json.Unmarshal(text, &status) != nil {
		return DrainStatus{}, false
	}
	return status, status.Analyzer != "" && numberOf(status.Operation) > 0
}

// numberOf returns the number in an operation's id; 0 if it has none.
func numberOf(operation string) int64 {
	number, _ := strconv.ParseInt(strings.TrimPrefix(operation, operationPrefix), 10, 64)
	return number
}
