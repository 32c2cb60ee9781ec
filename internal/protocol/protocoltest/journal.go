package protocoltest

import (
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Journal records packets and releases them. It may be used concurrently.
type Journal struct {
	// Full and Unwritable make it refuse packets, although CheckCapacity reports capacity.
	Full, Unwritable bool
	// NoCapacity makes CheckCapacity report that it is full.
	NoCapacity bool
	// Discard makes it record nothing, for benchmarks.
	Discard bool
	// Limit is the maximum number of packets of one Append; 0 is no limit.
	Limit int
	intake.Journal

	t       testing.TB
	mu      sync.Mutex // guards Full and the fields below
	packets []Packet
	shown   int           // packets that Text has returned
	refused int           // calls of AppendAll that returned ErrFull
	changed chan struct{} // closed after each change
}

// SetFull sets Full.
func (j *Journal) SetFull(full bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.Full, j.refused = full, 0
}

// AppendAll implements intake.Journal.
func (j *Journal) AppendAll(packets []*packet.Packet) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.Full:
		j.refused++
		j.notify()
		return journal.ErrFull
	case j.Unwritable:
		return journal.ErrUnwritable
	case j.Limit > 0 && len(packets) > j.Limit:
		return journal.ErrTooMany
	}
	j.takeLocked(packets)
	return nil
}

// Append implements intake.Journal: it takes up to Limit packets.
func (j *Journal) Append(packets []*packet.Packet) (taken int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if taken = len(packets); j.Limit > 0 && taken > j.Limit {
		taken, err = j.Limit, journal.ErrFull
	}
	j.takeLocked(packets[:taken])
	return taken, err
}

func (j *Journal) takeLocked(packets []*packet.Packet) {
	for _, p := range packets {
		if !j.Discard {
			j.packets = append(j.packets, decode(j.t, p))
		}
		p.Release()
	}
	j.notify()
}

// notify wakes the goroutines that wait for a change.
func (j *Journal) notify() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// AwaitRefused waits until the journal has refused that many calls since it became full.
func (j *Journal) AwaitRefused(calls int) {
	j.t.Helper()
	timeout := time.After(time.Minute)
	for {
		j.mu.Lock()
		refused, changed := j.refused, j.changed
		j.mu.Unlock()
		if refused >= calls {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			j.t.Fatalf("the journal has refused %d calls, want %d", refused, calls)
		}
	}
}

// CheckCapacity implements intake.Journal.
func (j *Journal) CheckCapacity(int) error {
	if j.NoCapacity {
		return journal.ErrFull
	}
	return nil
}

// Fits implements intake.Journal.
func (*Journal) Fits(int) bool { return true }

// Packets returns all packets that the journal has taken.
func (j *Journal) Packets() []Packet {
	packets, _ := j.state()
	return packets
}

// state returns the packets, and a channel that is closed at the next change.
func (j *Journal) state() ([]Packet, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Packet(nil), j.packets...), j.changed
}

// unshown returns the packets that the journal has taken since the last call.
func (j *Journal) unshown() []Packet {
	j.mu.Lock()
	defer j.mu.Unlock()
	packets := j.packets[j.shown:]
	j.shown = len(j.packets)
	return packets
}
