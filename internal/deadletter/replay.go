package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// ReplayState is the state of a replay.
type ReplayState string

// The states; a replay in one of the last three has ended.
const (
	ReplayRunning ReplayState = "running"
	// ReplayWaiting: the journal takes no packets now; Reason is why.
	ReplayWaiting  ReplayState = "waiting"
	ReplayDone     ReplayState = "done"
	ReplayCanceled ReplayState = "canceled"
	ReplayFailed   ReplayState = "failed"
)

// Replay is the progress of a replay.
type Replay struct {
	ID    int         `json:"id"`
	State ReplayState `json:"state"`
	// Reason is why the replay waits, was canceled or failed.
	Reason string `json:"reason,omitempty"`
	// Total is the number of selected dead letters, Done that of those that were
	// accepted again and marked. Failed is that of the others, once the replay is done:
	// they were replayed or deleted before their turn, or their file was removed.
	Total  int64 `json:"total"`
	Done   int64 `json:"done"`
	Failed int64 `json:"failed"`
	// Rate is the limit in packets per second.
	Rate    float64   `json:"rate"`
	Started time.Time `json:"started"`
	// Ended is nil while the replay runs.
	Ended *time.Time `json:"ended,omitempty"`
}

const (
	// DefaultReplayRate and MaxReplayRate are in packets per second.
	DefaultReplayRate = 100
	MaxReplayRate     = 1e6
	// keptReplays is the number of replays whose progress can be read.
	keptReplays = 16
)

// Journal takes packets; see journal.Journal.
type Journal interface {
	Append(packets []*packet.Packet) (taken int, err error)
}

// Replayer appends the packets of dead letters to a journal again, one replay at a time.
// It may be used concurrently.
type Replayer struct {
	store   *Store
	journal Journal
	pool    *packet.Pool
	logger  *slog.Logger

	running sync.WaitGroup
	mu      sync.Mutex // guards the fields below
	replays []*replay  // oldest first, at most keptReplays
	lastID  int
	stopped bool
}

// replay is a replay with what Replayer needs to run it. Replayer.mu guards progress.
type replay struct {
	progress Replay
	plan     plan
	cancel   context.CancelCauseFunc
}

// NewReplayer returns a Replayer. An error of the journal's Append, other than ErrClosed,
// makes replays wait and try again.
func NewReplayer(store *Store, journal Journal, pool *packet.Pool, logger *slog.Logger) *Replayer {
	return &Replayer{store: store, journal: journal, pool: pool, logger: logger}
}

// BusyError reports that another replay runs.
type BusyError struct{ ID int }

func (e *BusyError) Error() string {
	return fmt.Sprintf("replay %d runs: wait for its end, or cancel it", e.ID)
}

// RateError reports a rate that is out of range.
type RateError struct{ Rate float64 }

func (e *RateError) Error() string {
	return fmt.Sprintf("the rate is %v packets per second: it must be a number above 0 and at most %v", e.Rate, float64(MaxReplayRate))
}

// ReplayNotFoundError reports that there is no replay with an id, or no longer.
type ReplayNotFoundError struct{ ID int }

func (e *ReplayNotFoundError) Error() string {
	return fmt.Sprintf("there is no replay with the id %d; the last %d are kept until the distributor ends", e.ID, keptReplays)
}

// ReplayRate returns the rate of a replay in packets per second, DefaultReplayRate for 0, or a
// *RateError.
func ReplayRate(rate float64) (float64, error) {
	if rate == 0 {
		rate = DefaultReplayRate
	}
	if !(rate > 0 && rate <= MaxReplayRate) {
		return 0, &RateError{rate}
	}
	return rate, nil
}

// Start starts a replay of the selected dead letters, except those that were replayed
// already, at a rate in packets per second; 0 is DefaultReplayRate. ctx bounds the check
// of the selection, not the replay. The error is a *RateError, *BusyError or one of the
// selection (see Selection).
//
// A packet is appended to the journal as a new one, without regard to the duplicate
// window, rate limits and shedding. When the journal has accepted it, its dead letter is
// marked as replayed. If the process ends in between, the packet is delivered and the
// dead letter can be replayed again; no order of events loses one.
func (r *Replayer) Start(ctx context.Context, selection Selection, rate float64) (Replay, error) {
	rate, err := ReplayRate(rate)
	if err != nil {
		return Replay{}, err
	}
	if err := r.busy(); err != nil {
		return Replay{}, err
	}
	plan, err := r.store.plan(ctx, selection, Stored)
	if err != nil {
		return Replay{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.busyLocked(); err != nil {
		return Replay{}, err
	}
	r.lastID++
	replaying, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	one := &replay{plan: plan, cancel: cancel, progress: Replay{
		ID: r.lastID, State: ReplayRunning, Total: plan.total, Rate: rate, Started: time.Now().UTC(),
	}}
	r.replays = append(r.replays, one)
	r.replays = r.replays[max(0, len(r.replays)-keptReplays):]
	r.running.Go(func() {
		err := r.run(replaying, one)
		if err != nil && replaying.Err() != nil {
			err = context.Cause(replaying)
		}
		cancel(nil)
		r.end(one, err)
	})
	return one.progress, nil
}

func (r *Replayer) busy() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.busyLocked()
}

func (r *Replayer) busyLocked() error {
	if r.stopped {
		return errStopped
	}
	if last := len(r.replays) - 1; last >= 0 && r.replays[last].progress.Ended == nil {
		return &BusyError{r.replays[last].progress.ID}
	}
	return nil
}

// Replays returns the progress of the running replay and of earlier ones, newest first.
func (r *Replayer) Replays() []Replay {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Replay, 0, len(r.replays))
	for _, one := range slices.Backward(r.replays) {
		list = append(list, one.progress)
	}
	return list
}

var (
	errCanceled = errors.New("canceled by an operator")
	errStopped  = errors.New("the distributor stops or is upgraded: the dead letters that were not replayed stay stored, and another replay continues with them")
)

// Cancel ends a replay after the packets that it is appending. It does nothing if the
// replay has ended.
func (r *Replayer) Cancel(id int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.replays {
		if one.progress.ID == id {
			one.cancel(errCanceled)
			return nil
		}
	}
	return &ReplayNotFoundError{id}
}

// Stop cancels the running replay, waits for its end and refuses further ones. The
// journal must be open until it returns.
func (r *Replayer) Stop() {
	r.mu.Lock()
	r.stopped = true
	for _, one := range r.replays {
		one.cancel(errStopped)
	}
	r.mu.Unlock()
	r.running.Wait()
}

// Resume revokes Stop, for further replays.
func (r *Replayer) Resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = false
}

// Bounds of what a replay reads, appends and marks together. A single packet may be
// larger.
const (
	replayPackets = 64
	replayBytes   = 1 << 20
	replaysPerSec = 10 // at a high rate; at a low one each packet is appended alone
)

// replayBatch is packets and the marks for their dead letters.
type replayBatch struct {
	packets []*packet.Packet
	bytes   int
	places  []position
	marks   []mark
}

// run replays until the end of the plan, or returns why not.
func (r *Replayer) run(ctx context.Context, one *replay) error {
	rate := one.progress.Rate
	limit := max(1, min(replayPackets, int(rate/replaysPerSec)))
	due := time.Now()
	for from := (position{}); ; {
		batch, err := r.next(ctx, one.plan, from, limit)
		if err != nil || len(batch.packets) == 0 {
			return err
		}
		last := batch.places[len(batch.places)-1]
		from = position{last.file, last.offset + 1}
		due = due.Add(time.Duration(float64(len(batch.packets)) / rate * float64(time.Second)))
		if err := r.append(ctx, one, batch); err != nil {
			return err
		}
		if !worker.Sleep(ctx, time.Until(due)) {
			return context.Cause(ctx)
		}
		if now := time.Now(); due.Before(now) {
			due = now // no burst after a wait
		}
	}
}

// next reads the next packets of a plan.
func (r *Replayer) next(ctx context.Context, p plan, from position, limit int) (batch replayBatch, err error) {
	now := time.Now()
	err = r.store.each(ctx, p, from, func(l *line, record Record, one *storedPacket) (bool, error) {
		if record.State != Stored {
			return true, nil
		}
		if len(batch.packets) > 0 && batch.bytes+len(one.body) > replayBytes {
			return false, nil
		}
		appended := r.pool.New(one.body, one.info)
		appended.Accepted = now
		batch.packets = append(batch.packets, appended)
		batch.bytes += len(one.body)
		batch.places = append(batch.places, l.position)
		batch.marks = append(batch.marks, l.marked(markReplayed))
		return len(batch.packets) < limit, nil
	})
	if err != nil {
		batch.release()
	}
	return batch, err
}

// release releases the packets that the journal did not take.
func (b *replayBatch) release() {
	for _, p := range b.packets {
		p.Release()
	}
	b.packets = nil
}

const (
	minReplayDelay = 50 * time.Millisecond
	maxReplayDelay = time.Second
)

// append appends a batch to the journal and marks what it took. It waits while the
// journal takes nothing.
func (r *Replayer) append(ctx context.Context, one *replay, batch replayBatch) error {
	defer batch.release()
	for delay := minReplayDelay; len(batch.packets) > 0; delay = min(2*delay, maxReplayDelay) {
		taken, err := r.journal.Append(batch.packets)
		if taken > 0 {
			delay = minReplayDelay
			batch.packets = batch.packets[taken:]
			if err := r.mark(batch.places[:taken], batch.marks[:taken]); err != nil {
				return fmt.Errorf("packets were accepted again, and their dead letters could not be marked as replayed: %w", err)
			}
			batch.places, batch.marks = batch.places[taken:], batch.marks[taken:]
		}
		r.update(one, int64(taken), err)
		if err == nil {
			continue
		}
		if errors.Is(err, journal.ErrClosed) {
			return err
		}
		if !worker.Sleep(ctx, delay) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// mark marks dead letters as replayed. A file that was removed needs no marks.
func (r *Replayer) mark(places []position, marks []mark) error {
	r.store.metrics.replayed.Add(float64(len(places)))
	for len(places) > 0 {
		n := 1
		for n < len(places) && places[n].file == places[0].file {
			n++
		}
		if err := r.store.marks.add(places[0].file, marks[:n]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		places, marks = places[n:], marks[n:]
	}
	return nil
}

// update counts replayed packets, and notes why the journal takes no more.
func (r *Replayer) update(one *replay, done int64, waits error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one.progress.Done += done
	one.progress.State, one.progress.Reason = ReplayRunning, ""
	if waits != nil {
		one.progress.State, one.progress.Reason = ReplayWaiting, waits.Error()
	}
}

// end records the end of a replay.
func (r *Replayer) end(one *replay, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &one.progress
	p.Ended = new(time.Time)
	*p.Ended = time.Now().UTC()
	p.State, p.Reason = ReplayDone, ""
	level := slog.LevelInfo
	switch {
	case err == nil:
		p.Failed = p.Total - p.Done
	case errors.Is(err, errCanceled), errors.Is(err, errStopped):
		p.State, p.Reason = ReplayCanceled, err.Error()
	default:
		p.State, p.Reason, level = ReplayFailed, err.Error(), slog.LevelError
	}
	one.plan = plan{}
	r.logger.Log(context.Background(), level, "a replay of dead letters has ended",
		"id", p.ID, "state", string(p.State), "reason", p.Reason, "total", p.Total, "done", p.Done, "failed", p.Failed)
}
