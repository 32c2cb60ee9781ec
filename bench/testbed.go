//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// testbed measures subjects: the load and the analyzers run in this thread on
// one core, the subject on the other.
type testbed struct {
	loop        *loop
	ledger      *ledger
	cores       []int // the first for the subject, the second for this thread
	dir         string
	distributor string
	rounds      int
	round       time.Duration
	timeout     time.Duration // of the next delivery, after the load has ended
}

// run measures an experiment's subjects round by round. An error means that
// nothing further can be measured; a failure of one subject is recorded in its
// series.
func (a *testbed) run(e experiment) (Result, error) {
	result := Result{Step: e.step, Series: make([]Series, len(e.subjects))}
	analyzers, err := newAnalyzers(a.loop, a.ledger, e.analyzers, e.lines)
	if err != nil {
		return result, err
	}
	defer analyzers.close()
	contenders := make([]*runningSubject, len(e.subjects)) // nil: not started, or failed
	defer func() {
		for _, c := range contenders {
			if c != nil {
				c.close(a.loop)
			}
		}
	}()
	length := time.Duration(e.share * float64(a.round))
	for i, s := range e.subjects {
		result.Series[i].Subject = s.Name
		contenders[i], err = a.startWarm(s, e, analyzers.ports, length/2)
		if err := result.Series[i].recordError(err); err != nil {
			return result, err
		}
	}
	if e.halfPeak {
		if e.rate, err = a.halfPeak(contenders, &result); err != nil {
			return result, err
		}
	}
	return result, a.measureRounds(contenders, result.Series, length, e.rate)
}

// startWarm starts a subject and sends it load for a time that is not measured. It returns nil for
// a subject that failed.
func (a *testbed) startWarm(s subject, e experiment, ports []int, length time.Duration) (*runningSubject, error) {
	running, err := a.startSubject(s, e, ports)
	if err == nil {
		err = a.warmUp(running, length)
	}
	if err != nil && running != nil {
		running.close(a.loop)
		running = nil
	}
	return running, err
}

// measureRounds adds a sample of each subject to its series in each round; every round begins with
// another subject. It closes a subject that fails and sets its contender to nil.
func (a *testbed) measureRounds(contenders []*runningSubject, all []Series, length time.Duration, rate float64) error {
	for round := range a.rounds {
		for offset := range contenders {
			i := (round + offset) % len(contenders)
			series := &all[i]
			if series.Skipped != "" || series.Fault != "" {
				continue
			}
			sample, err := a.measureRound(contenders[i], length, rate)
			if err := series.recordError(err); err != nil {
				return err
			}
			if err != nil {
				contenders[i].close(a.loop) // what it still sends belongs to no round
				contenders[i] = nil
				continue
			}
			series.Samples = append(series.Samples, sample)
		}
	}
	return nil
}

// recordError records why a series ends, or returns err when the whole run
// ends.
func (s *Series) recordError(err error) error {
	var missing unavailable
	switch {
	case err == nil:
	case errors.Is(err, errStopped):
		return err
	case errors.As(err, &missing):
		s.Skipped = missing.reason
	default:
		s.Fault = err.Error()
	}
	return nil
}

// warmUp warms a subject up and verifies that it does what it is measured for.
func (a *testbed) warmUp(c *runningSubject, length time.Duration) error {
	if _, err := a.measure(c, length, 0); err != nil {
		return err
	}
	if c.subject.verify != nil {
		return c.subject.verify(c.subjectConfig)
	}
	return nil
}

// halfPeak returns half of the packet rate that the slower subject reaches in
// the best of a few tries.
func (a *testbed) halfPeak(contenders []*runningSubject, result *Result) (float64, error) {
	const tries = 3
	slower := math.Inf(1)
	for i, c := range contenders {
		series := &result.Series[i]
		var peak float64
		for range tries {
			if series.Skipped != "" || series.Fault != "" {
				break
			}
			sample, err := a.measureRound(c, a.round/2, 0)
			if err := series.recordError(err); err != nil {
				return 0, err
			}
			if err == nil {
				peak = max(peak, packetRate.of(sample))
			}
		}
		if peak > 0 {
			slower = min(slower, peak)
		}
	}
	return slower / 2, nil
}

// measureRound runs a short warm-up and a measured round.
func (a *testbed) measureRound(c *runningSubject, length time.Duration, rate float64) (Sample, error) {
	const warming = 100 * time.Millisecond
	if _, err := a.measure(c, warming, rate); err != nil {
		return Sample{}, err
	}
	return a.measure(c, length, rate)
}

// measure sends for a while, waits until everything accepted has arrived, and
// returns the cost.
func (a *testbed) measure(c *runningSubject, length time.Duration, rate float64) (Sample, error) {
	if c.subject.alone != nil {
		return c.subject.alone(c, a.cores, length)
	}
	if c.sharesCores(a.cores) {
		// The subject uses all cores, so the load shares them.
		if err := bind(a.cores); err != nil {
			return Sample{}, err
		}
		defer func() { _ = bind(a.cores[1:2]) }()
	}
	a.ledger.open(c.text)
	before, err := c.usage(a.cores)
	if err != nil {
		return Sample{}, c.failureOr(err)
	}
	start := time.Now()
	if err := c.load.send(length, rate); err != nil {
		return Sample{}, c.failureOr(err)
	}
	if err := a.awaitDelivery(c); err != nil {
		return Sample{}, err
	}
	seconds := time.Since(start).Seconds()
	// The subject has yet to read the analyzers' last responses.
	if err := a.loop.idle(20 * time.Millisecond); err != nil {
		return Sample{}, err
	}
	after, err := c.usage(a.cores)
	if err != nil {
		return Sample{}, c.failureOr(err)
	}
	subject, load := after.subject-before.subject, after.load-before.load
	return Sample{
		RequestPackets: c.load.connections[0].request.packets, Refused: c.load.refused,
		Packets: a.ledger.packets, Messages: a.ledger.packets * int64(c.text.messages), Duplicates: a.ledger.duplicates,
		Seconds: seconds, Offered: rate,
		ProcessorSeconds: subject.Seconds(), LoadSeconds: load.Seconds(),
		OtherSeconds:  max(0, (after.cores - before.cores - subject - load).Seconds()),
		P50:           float64(c.load.latency.ValueAtQuantile(50)) / 1e3,
		P99:           float64(c.load.latency.ValueAtQuantile(99)) / 1e3,
		P999:          float64(c.load.latency.ValueAtQuantile(99.9)) / 1e3,
		ResidentBytes: after.resident,
		StartSeconds:  c.start.Seconds(), IdleBytes: c.idle,
	}, nil
}

// awaitDelivery waits for the last delivery and verifies the ledger.
func (a *testbed) awaitDelivery(c *runningSubject) error {
	if !c.subject.terminates {
		before, err := a.ledger.missing+1, errTimeout
		for errors.Is(err, errTimeout) && a.ledger.missing < before {
			before = a.ledger.missing
			err = a.loop.run(a.timeout, func(time.Time) bool { return a.ledger.complete() })
		}
		if errors.Is(err, errTimeout) {
			return fmt.Errorf("LOST: %d of %d accepted packets did not arrive, none within %v, %d arrived with bytes that were not sent",
				a.ledger.missing, a.ledger.packets, a.timeout, a.ledger.damaged)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case a.ledger.damaged > 0:
		return fmt.Errorf("%d packets arrived with bytes that were not sent", a.ledger.damaged)
	case a.ledger.packets == 0:
		return fmt.Errorf("no packet was accepted, %d were refused", c.load.refused)
	}
	return nil
}
