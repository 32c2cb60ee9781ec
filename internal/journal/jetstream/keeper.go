package jetstream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/natslink"
)

// tendInterval is the time between two looks at all claims.
const tendInterval = time.Second

// keep sends acknowledgements, and extends or gives back claims, until the journal closes.
func (j *Journal) keep() {
	ticker := time.NewTicker(tendInterval)
	defer ticker.Stop()
	for {
		j.sendAcks()
		select {
		case <-j.keeping.wakeUp:
		case now := <-ticker.C:
			j.mu.Lock()
			j.tendClaimsLocked(now)
			j.mu.Unlock()
		case <-j.keeping.stop:
			j.sendAcks()
			return
		}
	}
}

// sendAcks sends what waits; without a connection it waits on.
func (j *Journal) sendAcks() {
	j.mu.Lock()
	due := j.acks
	if len(due) == 0 {
		j.mu.Unlock()
		return
	}
	j.acks = j.spareAcks[:0]
	j.mu.Unlock()
	sent := 0
	for sent < len(due) && j.link.Conn.Publish(due[sent].subject, due[sent].data) == nil {
		sent++
	}
	j.mu.Lock()
	j.acks = append(j.acks, due[sent:]...)
	j.rememberAcksLocked(due[:sent], time.Now())
	j.mu.Unlock()
	clear(due)
	j.spareAcks = due
}

const (
	watchInterval = 2 * time.Second
	// watchSickInterval is that while a stream is full, silent or not ready.
	watchSickInterval  = 250 * time.Millisecond
	durabilityInterval = time.Minute
)

// watch makes the streams if that was not possible at the start, and asks for their state.
func (j *Journal) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stopped := make(chan struct{})
	defer func() { <-stopped }()
	go func() {
		defer close(stopped)
		select {
		case <-j.watching.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer cancel()
	checked := time.Now()
	for ctx.Err() == nil {
		wait := watchInterval
		if !j.refresh(ctx) {
			wait = watchSickInterval
		}
		if time.Since(checked) > durabilityInterval {
			checked = time.Now()
			j.checkDurability(ctx)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-j.watching.wakeUp:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// refresh asks every stream for its state, and reports whether all are well.
func (j *Journal) refresh(ctx context.Context) (well bool) {
	if !j.link.IsConnected() {
		return false
	}
	j.noteLife()
	well = true
	if !j.isReady() {
		err := j.prepareStreams(ctx)
		j.reportSetup(err)
		well = err == nil
	}
	well = j.refreshPartitions(ctx) && well
	j.mu.Lock()
	found := j.findStuckLocked(time.Now())
	j.mu.Unlock()
	j.separate(ctx, found)
	return well
}

// noteLife asks the server for a sign of life while no stream can be published to.
func (j *Journal) noteLife() {
	j.mu.Lock()
	stalled := !j.stall.since.IsZero() && j.unwritable == nil
	j.mu.Unlock()
	if !stalled || j.link.Conn.FlushTimeout(deadAfter/6) != nil {
		return
	}
	j.mu.Lock()
	j.stall.alive = time.Now()
	j.mu.Unlock()
}

func (j *Journal) isReady() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range j.partitions {
		if !p.ready {
			return false
		}
	}
	return j.oldFound
}

// reportSetup logs why the streams are not ready, unless it is the reason of before.
func (j *Journal) reportSetup(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == j.setupErr || errors.Is(err, context.Canceled) {
		return
	}
	j.setupErr = text
	if err != nil {
		j.logger.Error("the streams are not ready", "error", err)
		return
	}
	j.logger.Info("the streams are ready")
}

// refreshPartitions asks all streams at once: one that does not answer must not delay the
// others' return.
func (j *Journal) refreshPartitions(ctx context.Context) (well bool) {
	var asking sync.WaitGroup
	var sick atomic.Int64
	for _, p := range j.partitions {
		asking.Go(func() {
			if !j.refreshPartition(ctx, p) {
				sick.Add(1)
			}
		})
	}
	asking.Wait()
	return sick.Load() == 0
}

func (j *Journal) refreshPartition(ctx context.Context, p *partition) (well bool) {
	timeout := natslink.APITimeout
	j.mu.Lock()
	ready := p.ready
	if p.silent {
		timeout = silentAfter
	}
	j.mu.Unlock()
	if !ready {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stream, err := j.link.JetStream.Stream(ctx, p.stream)
	if err != nil {
		return false
	}
	state := stateOf(stream.CachedInfo())
	j.mu.Lock()
	p.state = state
	if p.silent && state.hasQuorum() {
		p.silent, p.answered = false, time.Now()
	}
	if p.full && (state.limit <= 0 || state.bytes+2*envelopeBytes <= state.limit) {
		p.full = false
	}
	well = !p.silent && !p.full
	done := j.updateWritableLocked()
	j.mu.Unlock()
	j.complete(done)
	j.sending.wake()
	return well
}
