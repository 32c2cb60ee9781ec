package disk

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/datafile"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestRestartRestoresUnackedPackets(t *testing.T) {
	f := newFixture()
	j := f.open(t)
	f.put(t, j, upTo(100)...)
	fetched := journaltest.Fetch(j, nil, 60)
	var acked []*packet.Packet
	var left []int
	for i, p := range fetched {
		if i%3 == 0 {
			acked = append(acked, p)
		} else {
			left = append(left, idOf(t, p))
		}
	}
	j.Ack(acked)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for id := 60; id < 100; id++ {
		left = append(left, id)
	}
	for range 3 { // acknowledgements must survive several restarts
		j = f.open(t)
		if got := j.Stats(); got.Accepted != got.Queued || got.Queued.Packets != int64(len(left)) {
			t.Fatalf("stats after a restart: %+v", got)
		}
		found := fetchAll(t, j)
		same(t, "after a restart", idsOf(t, found), left)
		if got, want := packet.VolumeOf(found), j.Stats().Claimed; got != want {
			t.Fatalf("fetched %+v, want %+v", got, want)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j = f.open(t)
	j.Ack(fetchAll(t, j))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = f.open(t)
	if got := j.Stats().Queued.Packets; got != 0 {
		t.Errorf("%d packets after everything was acknowledged", got)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRecoveredPacketIsComplete(t *testing.T) {
	f := newFixture()
	j := f.open(t)
	p := f.packets.Make(t, "e", "7", 900)
	p.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	accepted := time.Unix(1_700_000_000, 123_456_789)
	p.Accepted = accepted
	if _, err := j.Append([]*packet.Packet{p}); err != nil {
		t.Fatal(err)
	}
	f.kill(j)
	j = f.open(t)
	defer j.Close()
	if got := j.Status().Oldest; !got.Equal(accepted) {
		t.Errorf("the oldest packet is from %v, want %v", got, accepted)
	}
	got := fetchAll(t, j)[0]
	if idOf(t, got) != 7 || got.Traceparent != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" ||
		!got.Accepted.Equal(accepted) || got.Level != packet.LevelInfo {
		t.Errorf("the packet came back as %+v", got)
	}
}

// Packets with lone surrogates in their ids, which earlier versions accepted, are restored.
func TestRecoveredPacketOfAnEarlierVersion(t *testing.T) {
	f := newFixture()
	j := f.open(t)
	body := []byte(`{"emitter_id":"\ud800","packet_id":"\udc00","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`)
	info, err := packet.Recheck(body, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append([]*packet.Packet{f.pool.New(body, info)}); err != nil {
		t.Fatal(err)
	}
	f.kill(j)
	j = f.open(t)
	defer j.Close()
	if got := fetchAll(t, j); len(got) != 1 || string(got[0].Body) != string(body) || j.Stats().Damaged.Packets != 0 {
		t.Errorf("%d packets came back; the log: %s", len(got), &f.log)
	}
}

func TestIdleAcksSurviveKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		j := f.open(t)
		f.put(t, j, upTo(10)...)
		j.Ack(journaltest.Fetch(j, nil, 10))
		time.Sleep(2 * acksDelay)
		synctest.Wait()
		f.kill(j)
		j = f.open(t)
		if got := j.Stats().Queued.Packets; got != 0 {
			t.Errorf("%d acknowledged packets came back", got)
		}
		j.Close()
	})
}

func TestPowerLossKeepsAcceptedPackets(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	f := newFixture()
	var want []int
	for round := range 50 {
		j := f.open(t)
		if reserved := f.disk.bytes() - j.Status().Bytes; reserved > f.segmentBytes {
			t.Fatalf("after %d crashes, %d bytes are reserved and not used", round, reserved)
		}
		same(t, "after a crash", idsOf(t, fetchAll(t, j)), want)
		for i := range 3 {
			id := 10*round + i
			f.put(t, j, id)
			want = append(want, id)
		}
		f.disk.crash(random)
		_ = j.Close()
	}
}

func TestTwoProcessesCannotShareADirectory(t *testing.T) {
	config := Config{Dir: t.TempDir(), MaxBytes: 1 << 20, MemoryLimitBytes: 1 << 20}
	deps := Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}}
	j, err := Open(config, deps)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(config, deps)
	if locked := (*datafile.LockedError)(nil); !errors.As(err, &locked) || locked.Owner == "" {
		t.Fatalf("a second Open: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = Open(config, deps); err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	j.Close()
}

func TestNewerFormatIsRefused(t *testing.T) {
	f := newFixture()
	header := segmentHeader{number: 1, first: 1}.encode()
	header[4] = segmentVersion + 1
	resealHeader(header)
	path := segmentPath("/data/journal", 1)
	f.disk.files[path] = &crashFile{path: path, now: header}
	_, err := Open(Config{Dir: "/data", MaxBytes: 1 << 20, MemoryLimitBytes: 1 << 20},
		Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}, files: f.disk.process()})
	if version := (*VersionError)(nil); !errors.As(err, &version) || version.Path != path {
		t.Errorf("Open of a newer format: %v", err)
	}
	if f.disk.locked["/data/lock"] {
		t.Error("the lock is still held")
	}
}
