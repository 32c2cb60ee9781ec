package deadletter

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// limitedJournal takes as many packets as it has capacity for.
type limitedJournal struct {
	mu       sync.Mutex
	capacity int
	err      error
	times    []time.Time
	ids      []string
}

func (j *limitedJournal) Append(packets []*packet.Packet) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := min(j.capacity, len(packets))
	for _, p := range packets[:n] {
		j.capacity--
		j.times = append(j.times, time.Now())
		j.ids = append(j.ids, string(p.PacketID.AppendDecoded(nil, p.Body)))
		if p.Accepted.IsZero() || p.Messages != 1 {
			return 0, errors.New("no packet")
		}
		p.Release()
	}
	if n < len(packets) {
		return n, j.err
	}
	return n, nil
}

func (j *limitedJournal) set(capacity int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.capacity, j.err = capacity, err
}

func replayer(f *fixture, letters int, j *limitedJournal) *Replayer {
	for i := range letters {
		f.add(bodyOf(fmt.Sprint(i)))
	}
	return NewReplayer(f.store, j, &pool, slog.New(slog.DiscardHandler))
}

func allOf(n int) Selection { return Selection{Filter: &Filter{}, ExpectCount: int64(n)} }

// start starts a replay that must be accepted.
func start(t *testing.T, r *Replayer, s Selection, rate float64) int {
	t.Helper()
	p, err := r.Start(t.Context(), s, rate)
	if err != nil || p.State != ReplayRunning || p.Ended != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	return p.ID
}

func TestReplayKeepsItsRate(t *testing.T) {
	for _, rate := range []float64{0.5, 100, 1000} {
		synctest.Test(t, func(t *testing.T) {
			const letters = 130
			f, j := open(t, DefaultConfig(t.TempDir())), &limitedJournal{capacity: letters}
			r := replayer(f, letters, j)
			began := time.Now()
			start(t, r, allOf(letters), rate)
			r.running.Wait()
			if got, want := time.Since(began).Seconds(), letters/rate; math.Abs(got-want) > 1e-3 {
				t.Errorf("at %v per second it took %v s, want %v", rate, got, want)
			}
			for i, at := range j.times {
				if allowed := rate*at.Sub(began).Seconds() + max(1, min(replayPackets, rate/replaysPerSec)); float64(i+1) > allowed+1e-3 {
					t.Fatalf("%d packets after %v, at %v per second", i+1, at.Sub(began), rate)
				}
			}
			if got := testutil.ToFloat64(f.metrics.replayed); got != letters {
				t.Errorf("%v are counted", got)
			}
		})
	}
}

// A replay waits while the journal takes nothing, and says why.
func TestReplayWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, j := open(t, DefaultConfig(t.TempDir())), &limitedJournal{capacity: 3, err: journal.ErrFull}
		r := replayer(f, 10, j)
		start(t, r, allOf(10), 0)
		time.Sleep(time.Minute)
		if p := r.Replays()[0]; p.State != ReplayWaiting || p.Reason != journal.ErrFull.Error() || p.Done != 3 || p.Rate != DefaultReplayRate {
			t.Errorf("%+v", p)
		}
		if page, err := f.store.List(t.Context(), Filter{State: Replayed}, "", 10); err != nil || len(page.Records) != 3 {
			t.Errorf("marked: %+v, %v", page, err)
		}
		var busy *BusyError
		if _, err := r.Start(t.Context(), allOf(7), 1); !errors.As(err, &busy) || busy.ID != 1 {
			t.Errorf("a second one: %v", err)
		}
		j.set(100, nil)
		r.running.Wait()
		if p := r.Replays()[0]; p.State != ReplayDone || p.Reason != "" || p.Done != 10 || p.Failed != 0 || p.Ended == nil {
			t.Errorf("%+v", p)
		}
		if got := strings.Join(j.ids, " "); got != "0 1 2 3 4 5 6 7 8 9" {
			t.Errorf("replayed %s", got)
		}
		start(t, r, allOf(0), 1)
		r.running.Wait()
		if len(j.ids) != 10 {
			t.Error("some are replayed twice")
		}
	})
}

// A replay that had to wait does not catch up.
func TestNoBurstAfterAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, j := open(t, DefaultConfig(t.TempDir())), &limitedJournal{capacity: 1, err: journal.ErrFull}
		r := replayer(f, 5, j)
		start(t, r, allOf(5), 1)
		time.Sleep(time.Minute)
		j.set(100, nil)
		r.running.Wait()
		for i := 3; i < len(j.times); i++ { // the second one waited
			if gap := j.times[i].Sub(j.times[i-1]); gap < time.Second {
				t.Errorf("packet %d came %v after the one before", i, gap)
			}
		}
	})
}

func TestReplayIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, j := open(t, DefaultConfig(t.TempDir())), &limitedJournal{capacity: 100}
		r := replayer(f, 10, j)
		id := start(t, r, allOf(10), 1)
		time.Sleep(3500 * time.Millisecond)
		var missing *ReplayNotFoundError
		if err := r.Cancel(id + 1); !errors.As(err, &missing) {
			t.Error(err)
		}
		if err := r.Cancel(id); err != nil {
			t.Error(err)
		}
		r.running.Wait()
		if p := r.Replays()[0]; p.State != ReplayCanceled || p.Done != 4 || p.Failed != 0 || p.Reason != errCanceled.Error() {
			t.Errorf("%+v", p)
		}
		start(t, r, allOf(6), 1)
		r.Stop()
		if p := r.Replays()[0]; p.State != ReplayCanceled || !strings.Contains(p.Reason, "another replay continues") {
			t.Errorf("%+v", p)
		}
		if _, err := r.Start(t.Context(), allOf(1), 1); !errors.Is(err, errStopped) {
			t.Error(err)
		}
	})
}

func TestReplayRefusals(t *testing.T) {
	f, j := open(t, DefaultConfig(t.TempDir())), &limitedJournal{capacity: 100}
	r := replayer(f, 2, j)
	defer r.Stop()
	for _, rate := range []float64{-1, math.NaN(), math.Inf(1), 2 * MaxReplayRate} {
		var out *RateError
		if _, err := r.Start(t.Context(), allOf(2), rate); !errors.As(err, &out) {
			t.Errorf("rate %v: %v", rate, err)
		}
	}
	var mismatch *CountError
	if _, err := r.Start(t.Context(), allOf(3), 1); !errors.As(err, &mismatch) || *mismatch != (CountError{3, 2}) {
		t.Error(err)
	}
	j.set(0, journal.ErrClosed)
	start(t, r, allOf(2), 1)
	r.running.Wait()
	if p := r.Replays()[0]; p.State != ReplayFailed || p.Done != 0 || p.Reason != journal.ErrClosed.Error() {
		t.Errorf("%+v", p)
	}
	for range keptReplays {
		start(t, r, allOf(2), 1)
		r.running.Wait()
	}
	if got := r.Replays(); len(got) != keptReplays || got[0].ID != keptReplays+1 {
		t.Errorf("%d are kept, the last is %d", len(got), got[0].ID)
	}
}

// Dead letters whose file is removed during a replay count as failed.
func TestReplayOfRemovedFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := Config{Dir: t.TempDir(), FileBytes: 500, Files: 9, LineBytes: 1000}
		f, j := open(t, config), &limitedJournal{capacity: 100}
		r := replayer(f, 0, j)
		for i := range 6 {
			time.Sleep(time.Nanosecond) // the name of a file is its time
			f.add(bodyOf(fmt.Sprint(i)))
		}
		start(t, r, Selection{IDs: f.ids()}, 1)
		time.Sleep(time.Millisecond)
		for _, name := range f.files()[1:] {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		r.running.Wait()
		if p := r.Replays()[0]; p.State != ReplayDone || p.Done == 0 || p.Failed == 0 || p.Done+p.Failed != 6 || int(p.Done) != len(j.ids) {
			t.Errorf("%+v", p)
		}
	})
}
