package autoscale

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Actuator changes the number of analyzers.
type Actuator interface {
	// Scale makes the number of analyzers of the group the desired one, or returns why it
	// could not. The output is for the log.
	Scale(ctx context.Context, d Decision) (output string, err error)
}

// Outcome is how a change of the number of analyzers ended.
type Outcome struct {
	Decision
	Output string
	Err    error
	Took   time.Duration
}

// Driver has an Actuator carry out decisions: one at a time, with a cooldown for each group.
// Its methods must not be called concurrently.
type Driver struct {
	actuator Actuator
	onEnd    func(Outcome)

	started map[string]time.Time // the last start of each group
	running sync.WaitGroup
	busy    chan struct{} // has a value while the actuator works
}

// NewDriver returns a Driver that calls onEnd with each outcome, from a goroutine of its own.
func NewDriver(actuator Actuator, onEnd func(Outcome)) *Driver {
	return &Driver{actuator: actuator, onEnd: onEnd, started: make(map[string]time.Time), busy: make(chan struct{}, 1)}
}

// Drive starts to carry out the decision that has waited longest, unless one is being carried
// out or all are within the cooldown. The analyzers that are in no group are not scaled if there
// are groups: their command would scale the groups, too.
func (d *Driver) Drive(ctx context.Context, now time.Time, decisions []Decision) {
	d.forget(now, decisions)
	var due []Decision
	for _, one := range decisions {
		started, before := d.started[one.Group]
		if one.Desired != one.Current && (one.Group != Default || len(decisions) == 1) && !(before && now.Sub(started) < one.Config.Cooldown) {
			due = append(due, one)
		}
	}
	if len(due) == 0 {
		return
	}
	select {
	case d.busy <- struct{}{}:
	default:
		return
	}
	next := slices.MinFunc(due, func(a, b Decision) int { return d.started[a.Group].Compare(d.started[b.Group]) })
	d.started[next.Group] = now
	d.running.Go(func() {
		defer func() { <-d.busy }()
		began := time.Now()
		output, err := d.actuator.Scale(ctx, next)
		d.onEnd(Outcome{next, output, err, time.Since(began)})
	})
}

// forget removes the groups that are gone and whose cooldown has ended.
func (d *Driver) forget(now time.Time, decisions []Decision) {
	if len(decisions) == 0 {
		return
	}
	cooldown := decisions[0].Config.Cooldown // the same for all
	maps.DeleteFunc(d.started, func(group string, started time.Time) bool {
		return now.Sub(started) >= cooldown && !slices.ContainsFunc(decisions, func(one Decision) bool { return one.Group == group })
	})
}

// Wait returns when nothing is being carried out.
func (d *Driver) Wait() { d.running.Wait() }
