package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/natslink"
)

// maintainInterval is the time between two checks of all claims.
const maintainInterval = time.Second

// keep sends acknowledgements, and extends or returns claims, until the journal closes.
func (j *Journal) keep(ctx context.Context) {
	ticker := time.NewTicker(maintainInterval)
	defer ticker.Stop()
	for {
		j.sendAcks()
		select {
		case <-j.keeping.Woken():
		case now := <-ticker.C:
			j.mu.Lock()
			j.maintainClaimsLocked(now)
			j.mu.Unlock()
		case <-ctx.Done():
			j.sendAcks()
			return
		}
	}
}

// sendAcks sends the waiting messages. Messages stay waiting without a connection, and while the
// stream may be another one of the same name: NATS would take the acknowledgement for that of the
// message with the same number there.
func (j *Journal) sendAcks() {
	j.mu.Lock()
	due := j.acks
	if len(due) == 0 {
		j.mu.Unlock()
		return
	}
	j.acks = j.spareAcks[:0]
	known := due[:0]
	for _, a := range due {
		if a.of == nil || a.of.known {
			known = append(known, a)
		} else {
			j.acks = append(j.acks, a)
		}
	}
	clear(due[len(known):])
	due = known
	j.mu.Unlock()
	sent := 0
	for sent < len(due) && j.link.Conn.Publish(due[sent].subject, due[sent].data) == nil {
		sent++
	}
	j.logAcks(due[:sent])
	j.mu.Lock()
	j.acks = append(j.acks, due[sent:]...)
	j.rememberAcksLocked(due[:sent], time.Now())
	j.mu.Unlock()
	clear(due)
	j.spareAcks = due
}

const (
	watchInterval = 2 * time.Second
	// watchFailingInterval is the interval while a stream is full, silent, refusing or not ready.
	watchFailingInterval = 250 * time.Millisecond
	durabilityInterval   = time.Minute
	// searchInterval is the time between two searches for streams beyond JETSTREAM_PARTITIONS, to
	// which other distributors may publish.
	searchInterval = 10 * time.Second
)

// watch creates the streams if that was not possible at the start, and queries their state.
func (j *Journal) watch(ctx context.Context) {
	checked, searched := time.Now(), time.Now()
	for ctx.Err() == nil {
		wait, well := watchInterval, j.refresh(ctx)
		if !well {
			wait = watchFailingInterval
		}
		// Slow checks wait until all streams are well.
		if well && time.Since(searched) > searchInterval {
			searched = time.Now()
			_ = j.findFurtherPartitions(ctx) // or in the next round
		}
		if well && time.Since(checked) > durabilityInterval {
			checked = time.Now()
			j.checkDurability(ctx)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-j.watching.Woken():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// refresh queries the state of every stream, and reports whether no change is to be expected soon: see
// noteState.
func (j *Journal) refresh(ctx context.Context) (well bool) {
	if !j.link.IsConnected() {
		return false
	}
	j.pingServer()
	well = true
	if !j.isReady() {
		err := j.prepareStreams(ctx)
		j.reportSetup(err)
		well = err == nil
	}
	well = j.refreshPartitions(ctx) && well
	j.mu.Lock()
	found := j.findPartlyEndedLocked(time.Now())
	j.mu.Unlock()
	j.separate(ctx, found)
	return well
}

// pingServer pings the server while no stream can be published to.
func (j *Journal) pingServer() {
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
	return j.furtherFound
}

// reportSetup logs why the streams are not ready, unless the reason is the same as before.
func (j *Journal) reportSetup(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	j.mu.Lock()
	before := j.setupErr
	j.setupErr = err
	j.mu.Unlock()
	if fmt.Sprint(before) == fmt.Sprint(err) {
		return
	}
	if err != nil {
		j.logger.Error("the streams are not ready", "error", err)
		return
	}
	j.logger.Info("the streams are ready")
}

// refreshPartitions queries all streams at once, so that a stream that does not answer does not
// delay the others.
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
	if p.standing == silent {
		timeout = silentAfter
	}
	j.mu.Unlock()
	if !ready {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stream, err := j.link.JetStream.Stream(ctx, p.stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return j.noteMissing(p)
	case err != nil:
		j.noteNoState(p)
		return false
	}
	p.missing = time.Time{}
	served := j.recreateConsumer(ctx, stream, p)
	return j.noteState(p, stream.CachedInfo()) && served
}

// noteNoState records that a stream did not respond to a request for its state.
func (j *Journal) noteNoState(p *partition) {
	j.mu.Lock()
	if p.standing == silent {
		p.cause = p.silence()
	}
	j.mu.Unlock()
}

// probeLocked has a publication to a silent stream sent again at once: only its acknowledgement
// proves that the stream can store messages.
func (j *Journal) probeLocked(p *partition) {
	for _, o := range j.published {
		if o.partition == p {
			o.sent = time.Time{}
			return
		}
	}
}

// noteState records the state of a stream, and reports whether no change of it is to be expected
// soon: the stream accepts packets, or its settings prevent that.
func (j *Journal) noteState(p *partition, info *jetstream.StreamInfo) (well bool) {
	state, unsafe := stateOf(info), checkStream(info.Config, j.config.streamConfig(p.index))
	j.mu.Lock()
	if unsafe != nil && p.unsafe == nil {
		j.logger.Error("the settings of a stream were changed: it gets no packets until they are as before", "error", unsafe)
	}
	j.identifyLocked(p, info.Created)
	p.state, p.unsafe, p.messageBytes = state, unsafe, max(int64(info.Config.MaxMsgSize), 0)
	if p.responded(time.Now()) {
		j.probeLocked(p)
	}
	if p.full && (state.limit <= 0 || state.bytes+2*envelopeBytes <= state.limit) {
		p.full = false
	}
	well = !p.publishes || p.unsafe != nil || p.answers() && !p.full
	done := j.updateWritableLocked()
	j.mu.Unlock()
	j.complete(done)
	j.sending.Wake()
	j.keeping.Wake()
	return well
}
