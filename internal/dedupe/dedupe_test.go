package dedupe

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.UnixMilli(1_700_000_000_000)

func open(t *testing.T, config Config, now time.Time) *Window {
	t.Helper()
	w, err := Open(config, discard(), now)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// sample is a checked packet.
type sample struct {
	info packet.Info
	body []byte
}

// of returns a packet with these escaped ids and this message.
func of(emitterID, packetID, message string) sample {
	body := fmt.Appendf(nil, `{"emitter_id":"%s","packet_id":"%s","messages":[{"timestamp":1,"level":"INFO","message":"%s"}]}`, emitterID, packetID, message)
	info, err := packet.Check(body, 1)
	if err != nil {
		panic(err) // the test itself is wrong
	}
	return sample{info, body}
}

func numbered(n int) sample { return of("e", fmt.Sprint(n), "m") }

// changed returns packet n with other content.
func changed(n, version int) sample { return of("e", fmt.Sprint(n), fmt.Sprintf("m%d", version)) }

// surrounded returns a packet with text around it.
func surrounded(s sample, around [2]string) sample {
	body := []byte(around[0] + string(s.body) + around[1])
	info, err := packet.Check(body, 1)
	if err != nil {
		panic(err) // the test itself is wrong
	}
	return sample{info, body}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (w *Window) begin(s sample, now time.Time) (State, *Reservation) {
	return w.Begin("", s.info, s.body, "", now)
}
func (w *Window) forget(s sample) { w.Forget(&packet.Packet{Body: s.body, Info: s.info}) }
func (w *Window) fingerprint(s sample) fingerprint {
	return w.secret.fingerprint("", s.info, s.body, "")
}

func accept(t interface{ Fatalf(string, ...any) }, w *Window, s sample, now time.Time) {
	state, reservation := w.begin(s, now)
	if state != New {
		t.Fatalf("the packet is %v, want New", state)
	}
	reservation.End(nil)
}

func TestRefusedPacketIsNew(t *testing.T) {
	w := open(t, Config{Window: time.Minute, Packets: 10}, start)
	_, reservation := w.begin(numbered(1), start)
	reservation.End(errors.New("no capacity"))
	accept(t, w, numbered(1), start)
	if state, _ := w.begin(numbered(1), start); state != Duplicate {
		t.Errorf("after it was accepted the packet is %v, want Duplicate", state)
	}
}

// A packet is known that is within the window and among the last Config.Packets.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := Config{Window: time.Minute, Packets: rapid.IntRange(1, 20).Draw(t, "packets")}
		w, err := Open(config, discard(), start)
		if err != nil {
			t.Fatal(err)
		}
		now := start
		last := make(map[int]time.Time)
		var order []int
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			n := rapid.IntRange(0, 30).Draw(t, "packet")
			recent := order[max(0, len(order)-config.Packets):]
			must := false
			for _, m := range recent {
				must = must || m == n && now.Sub(last[n]) < config.Window
			}
			state, reservation := w.begin(numbered(n), now)
			if must && state != Duplicate {
				t.Fatalf("packet %d, accepted %v ago, is not known", n, now.Sub(last[n]))
			}
			if state == New {
				reservation.End(nil)
				last[n] = now
				order = append(order, n)
			}
			if w.len() > 2*config.Packets {
				t.Fatalf("%d packets are known, the bound is twice %d", w.len(), config.Packets)
			}
		}
	})
}

func TestConcurrentRequestsGetOneReservation(t *testing.T) {
	w := open(t, Config{Window: time.Minute, Packets: 100}, start)
	var fresh atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			switch state, reservation := w.begin(numbered(1), start); state {
			case New:
				fresh.Add(1)
				reservation.End(nil)
			case InFlight:
				if reservation.Wait() != nil {
					t.Error("Wait reports that the packet was refused")
				}
			}
		})
	}
	all.Wait()
	if fresh.Load() != 1 {
		t.Errorf("%d requests had the reservation, want 1", fresh.Load())
	}
}

func TestRestartKeepsTheWindow(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 5, Dir: t.TempDir()}
	now := start
	w := open(t, config, now)
	for n := range 8 { // two generations
		accept(t, w, numbered(n), now)
		now = now.Add(time.Second)
	}
	w.Close()
	for restart := range 3 {
		w = open(t, config, now)
		for n := range 8 {
			if state, _ := w.begin(numbered(n), now); state != Duplicate {
				t.Errorf("after restart %d packet %d is not known", restart+1, n)
			}
		}
		w.Close()
		now = now.Add(time.Second)
	}
	w = open(t, config, now.Add(time.Hour))
	if w.len() != 0 {
		t.Errorf("an hour later %d packets are known", w.len())
	}
	w.Close()
	files, _ := filepath.Glob(filepath.Join(config.Dir, "*"+extension))
	if len(files) != 1 {
		t.Errorf("old files stay: %v", files)
	}
}

func TestTruncatedFileLosesOneRecord(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 10, Dir: t.TempDir()}
	w := open(t, config, start)
	for n := range 3 {
		accept(t, w, numbered(n), start)
	}
	w.Close()
	path := w.log.path(start)
	if err := os.Truncate(path, int64(3*recordSize+5)); err != nil {
		t.Fatal(err)
	}
	w = open(t, config, start.Add(time.Second))
	defer w.Close()
	if w.len() != 2 {
		t.Errorf("%d packets are known, want 2", w.len())
	}
}

// No packet is known for longer than twice the window, even without traffic: an emitter
// that counts from 1 again must not lose packets.
func TestIdleWindowExpires(t *testing.T) {
	for _, quiet := range []time.Duration{2 * time.Minute, time.Hour} {
		w := open(t, Config{Window: time.Minute, Packets: 10}, start)
		accept(t, w, numbered(1), start)
		accept(t, w, numbered(1), start.Add(quiet))
	}
	w := open(t, Config{Window: time.Minute, Packets: 10}, start)
	accept(t, w, numbered(1), start)
	accept(t, w, numbered(2), start.Add(119*time.Second)) // the first becomes old
	accept(t, w, numbered(1), start.Add(120*time.Second))
}

func TestForget(t *testing.T) {
	w := open(t, Config{Window: time.Minute, Packets: 1}, start)
	accept(t, w, numbered(1), start)
	accept(t, w, numbered(2), start) // the first becomes old
	for n := 1; n <= 2; n++ {
		w.forget(numbered(n))
		accept(t, w, numbered(n), start)
	}
	_, reservation := w.begin(numbered(3), start)
	w.forget(numbered(3)) // during its reservation
	reservation.End(nil)
	accept(t, w, numbered(3), start)
}

// A forgotten packet is not known after a restart, in either generation and however often
// it was accepted, and no other packet is lost.
func TestRestartAppliesTombstones(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 2, Dir: t.TempDir()}
	w := open(t, config, start)
	restart := func() {
		t.Helper()
		w.Close()
		w = open(t, config, start)
	}
	accept(t, w, numbered(1), start)
	accept(t, w, numbered(2), start)
	accept(t, w, numbered(3), start.Add(time.Second)) // the first two become old
	w.forget(numbered(1))
	w.forget(numbered(3))
	w.forget(numbered(9)) // unknown
	restart()
	for n, want := range map[int]bool{1: false, 2: true, 3: false, 9: false} {
		if got := knows(w, numbered(n)); got != want {
			t.Errorf("packet %d is known after a restart: %v", n, got)
		}
	}
	accept(t, w, numbered(3), start.Add(time.Second))
	restart()
	if !knows(w, numbered(3)) {
		t.Error("a packet that was forgotten and accepted again is not known after a restart")
	}
	// The tombstone outlives the generation of its packet.
	accept(t, w, numbered(4), start.Add(2*time.Second))
	accept(t, w, numbered(5), start.Add(3*time.Second))
	restart()
	if knows(w, numbered(1)) || w.len() > 2*config.Packets {
		t.Errorf("after its generation expired a forgotten packet or another one is known: %d, %d", w.previous.len(), w.current.len())
	}
	w.Close()
}

// A packet that is forgotten, and accepted again after its first generation expired, is
// known after a restart.
func TestAcceptedAfterForget(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 1000, Dir: t.TempDir()}
	w := open(t, config, start)
	accept(t, w, numbered(1), start)
	accept(t, w, numbered(2), start.Add(61*time.Second)) // the first becomes old
	w.forget(numbered(1))
	accept(t, w, numbered(3), start.Add(122*time.Second)) // the first generation expires
	accept(t, w, numbered(1), start.Add(123*time.Second))
	w.Close()
	w = open(t, config, start.Add(124*time.Second))
	if !knows(w, numbered(1)) || w.len() != 3 {
		t.Errorf("after a restart it is known: %v; %d packets are", knows(w, numbered(1)), w.len())
	}
	w.Close()
}

// knows reports whether a packet is known.
func knows(w *Window, s sample) bool {
	known, _ := w.findLocked(w.fingerprint(s))
	return known
}

func TestWaitReturnsTheRefusal(t *testing.T) {
	w := open(t, Config{Window: time.Minute, Packets: 10}, start)
	_, reservation := w.begin(numbered(1), start)
	_, other := w.begin(numbered(1), start)
	reason := errors.New("no capacity")
	reservation.End(reason)
	if got := other.Wait(); got != reason {
		t.Errorf("the reason is %v", got)
	}
}

// An incomplete record is truncated before others are appended.
func TestTruncatedFileIsContinued(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 10, Dir: t.TempDir()}
	w := open(t, config, start)
	accept(t, w, numbered(1), start)
	for n := 2; n < 4; n++ {
		w.Close()
		file, err := os.OpenFile(w.log.path(start), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.WriteString("cut")
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		w = open(t, config, start)
		accept(t, w, numbered(n), start)
	}
	defer w.Close()
	for n := 1; n < 4; n++ {
		if state, _ := w.begin(numbered(n), start); state != Duplicate {
			t.Errorf("packet %d is not known", n)
		}
	}
}

// A clock that is set back does not make the newest file the oldest.
func TestClockSetBack(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 1, Dir: t.TempDir()}
	w := open(t, config, start)
	for n := range 6 {
		accept(t, w, numbered(n), start.Add(-time.Duration(n)*time.Hour))
	}
	w.Close()
	w = open(t, config, start)
	defer w.Close()
	if state, _ := w.begin(numbered(5), start); state != Duplicate {
		t.Error("the packet that was accepted last is not known")
	}
}

// Packets from before the clock was set back do not stay known for longer than others,
// and their file is removed before newer ones.
func TestClockSetBackBeforeAStart(t *testing.T) {
	config := Config{Window: time.Minute, Packets: 10, Dir: t.TempDir()}
	knows := func(w *Window, n int, now time.Time) {
		t.Helper()
		if state, _ := w.begin(numbered(n), now); state != Duplicate {
			t.Errorf("packet %d is not known", n)
		}
	}
	w := open(t, config, start)
	accept(t, w, numbered(1), start)
	w.Close()
	now := start.Add(-time.Hour)
	w = open(t, config, now)
	knows(w, 1, now)
	accept(t, w, numbered(2), now)
	now = now.Add(config.Window) // another generation begins
	accept(t, w, numbered(3), now)
	now = now.Add(config.Window)
	accept(t, w, numbered(1), now)
	w.Close()
	w = open(t, config, now)
	knows(w, 1, now)
	knows(w, 3, now)
	w.Close()
}

// len returns how many packets are remembered.
func (w *Window) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current.len() + w.previous.len()
}
