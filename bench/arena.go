//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// arena is where subjects are measured: the load and the analyzers in this
// thread, on a core of their own, and the subject on the other.
type arena struct {
	loop        *loop
	ledger      *ledger
	cores       []int // the first is the subject's, the second this thread's
	folder      string
	distributor string
	rounds      int
	round       time.Duration
	patience    time.Duration // with the last delivery
}

// run lets an experiment's subjects take turns and returns all their rounds.
// The error means that nothing further can be measured; what only one subject
// lacks is told in its series.
func (a *arena) run(e experiment) (Result, error) {
	result := Result{Rung: e.rung, Series: make([]Series, len(e.subjects))}
	analyzers, err := newAnalyzers(a.loop, a.ledger, e.analyzers, e.lines)
	if err != nil {
		return result, err
	}
	defer analyzers.close()
	contenders := make([]*contender, len(e.subjects))
	defer func() {
		for _, c := range contenders {
			if c != nil {
				c.leave(a.loop)
			}
		}
	}()
	length := time.Duration(e.share * float64(a.round))
	for i, s := range e.subjects {
		result.Series[i].Subject = s.Name
		contenders[i], err = a.enter(s, e, analyzers.ports)
		if err == nil {
			err = a.prove(contenders[i], length/2)
		}
		if err := result.Series[i].note(err); err != nil {
			return result, err
		}
	}
	if e.halfPeak {
		if e.rate, err = a.halfPeak(contenders, &result); err != nil {
			return result, err
		}
	}
	for round := range a.rounds {
		for turn := range contenders {
			i := (round + turn) % len(contenders)
			series := &result.Series[i]
			if series.Skipped != "" || series.Fault != "" {
				continue
			}
			sample, err := a.turn(contenders[i], length, e.rate)
			if err := series.note(err); err != nil {
				return result, err
			}
			series.Samples = append(series.Samples, sample)
		}
	}
	return result, nil
}

// note writes down why a series ends, or hands on that everything does.
func (s *Series) note(err error) error {
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

// prove warms a subject up and makes sure that it does what it is here for.
func (a *arena) prove(c *contender, length time.Duration) error {
	if _, err := a.measure(c, length, 0); err != nil {
		return err
	}
	if c.subject.proof != nil {
		return c.subject.proof(c.place)
	}
	return nil
}

// halfPeak returns half of the packets a second that the slower subject reaches
// in the best of a few tries.
func (a *arena) halfPeak(contenders []*contender, result *Result) (float64, error) {
	const tries = 3
	slower := math.Inf(1)
	for i, c := range contenders {
		series := &result.Series[i]
		var peak float64
		for range tries {
			if series.Skipped != "" || series.Fault != "" {
				break
			}
			sample, err := a.turn(c, a.round/2, 0)
			if err := series.note(err); err != nil {
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

// turn is a short warming up and a round that counts.
func (a *arena) turn(c *contender, length time.Duration, rate float64) (Sample, error) {
	const warming = 100 * time.Millisecond
	if _, err := a.measure(c, warming, rate); err != nil {
		return Sample{}, err
	}
	return a.measure(c, length, rate)
}

// measure sends for a while, waits until all that was accepted has arrived, and
// returns what it took.
func (a *arena) measure(c *contender, length time.Duration, rate float64) (Sample, error) {
	if c.subject.cores == len(a.cores) {
		// The subject has all cores, so the load shares them.
		if err := bind(a.cores); err != nil {
			return Sample{}, err
		}
		defer func() { _ = bind(a.cores[1:2]) }()
	}
	a.ledger.open(c.text)
	before, err := c.clocks(a.cores)
	if err != nil {
		return Sample{}, c.process.failureOr(err)
	}
	start := time.Now()
	if err := c.load.send(length, rate); err != nil {
		return Sample{}, c.process.failureOr(err)
	}
	if err := a.settle(c); err != nil {
		return Sample{}, err
	}
	seconds := time.Since(start).Seconds()
	// The last answers of the analyzers are still to be read by the subject.
	if err := a.loop.idle(20 * time.Millisecond); err != nil {
		return Sample{}, err
	}
	after, err := c.clocks(a.cores)
	if err != nil {
		return Sample{}, c.process.failureOr(err)
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
		ResidentBytes: after.resident,
	}, nil
}

// settle waits for the last delivery and makes sure that nothing is missing.
func (a *arena) settle(c *contender) error {
	if !c.subject.swallows {
		err := a.loop.run(a.patience, func(time.Time) bool { return a.ledger.settled() })
		if errors.Is(err, errLate) {
			return fmt.Errorf("LOST: %d of %d accepted packets did not arrive within %v", a.ledger.missing, a.ledger.packets, a.patience)
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
