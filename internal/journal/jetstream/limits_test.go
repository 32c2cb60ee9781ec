package jetstream

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// sized returns packets with ids from 0 on.
func sized(t *testing.T, count, bytes int) (batch []*packet.Packet) {
	t.Helper()
	var packets journaltest.Packets
	for i := range count {
		batch = append(batch, packets.Make(t, "emitter", strconv.Itoa(i), bytes))
	}
	return batch
}

// deliver fetches and acknowledges packets until the streams are empty, and fails unless these are
// the packets with ids below count, each once.
func deliver(t *testing.T, j *Journal, count int) {
	t.Helper()
	var got []int
	for range count {
		taken := get(t, j, 1)
		got = append(got, ids(taken)...)
		j.Ack(taken)
	}
	slices.Sort(got)
	if want := upTo(count); !slices.Equal(got, want) {
		t.Errorf("delivered %v, not %v", got, want)
	}
	until(t, "the streams are empty", func() bool { return stored(t, j) == 0 })
}

// Requests and packets of all sizes are accepted and delivered once, or refused with the setting and
// its value, whatever the maximum message of the servers is.
func TestLargeMessages(t *testing.T) {
	for name, more := range map[string]string{"64KB": "max_payload: 65536", "1MB": "", "8MB": "max_payload: 8388608"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t, natstest.Options{More: more})
			c := testConfig(server.URL(), server.Monitor())
			c.Partitions = 3
			j := open(t, c)
			largest := int(j.link.MaxPayload())
			for _, bytes := range []int{300, 3000, 30_000, largest / 2, j.MaxPacketBytes()} {
				if err := j.AppendAll(sized(t, min(100, 60<<20/bytes), bytes-200)); err != nil {
					t.Fatalf("a request with packets of %d bytes: %v", bytes, err)
				}
				deliver(t, j, min(100, 60<<20/bytes))
			}
			over := sized(t, 2, largest)
			for what, err := range map[string]error{"Append": appendError(j, over[:1]), "AppendAll": j.AppendAll(over)} {
				if !errors.Is(err, journal.ErrTooLarge) || !strings.Contains(err.Error(), fmt.Sprintf("at most %d (max_payload)", largest)) {
					t.Errorf("%s of a larger packet: %v", what, err)
				}
			}
		})
	}
}

func appendError(j *Journal, packets []*packet.Packet) error {
	_, err := j.Append(packets)
	return err
}

// A stream that takes smaller messages than the server is reported, requests are stored in smaller
// envelopes, and larger packets are refused at once.
func testSmallMessages(t *testing.T, c Config) {
	first := open(t, c)
	settings := c.streamConfig(0)
	settings.MaxMsgSize = 300_000
	if _, err := first.link.JetStream.UpdateStream(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	j := openWith(t, c, slog.New(slog.NewTextHandler(&log, nil)))
	if report, err := Check(t.Context(), c); err != nil || !strings.Contains(fmt.Sprint(report.Streams[0].Concerns), "max_msg_size is 300000") || !strings.Contains(log.String(), "setting=max_msg_size have=300000") {
		t.Errorf("%v, %v; the log is %s", err, report.Streams, &log)
	}
	if err := j.AppendAll(sized(t, 100, 8000)); err != nil {
		t.Fatal(err)
	}
	deliver(t, j, 100)
	if err := appendError(j, sized(t, 1, 300_000)); !errors.Is(err, journal.ErrTooLarge) || !strings.Contains(err.Error(), "at most 300000 (max_msg_size of the stream "+c.streamOf(0)+")") {
		t.Errorf("a larger packet: %v", err)
	}
	until(t, "a distributor that runs knows the setting", func() bool {
		first.watching.Wake()
		return errors.Is(first.checkSize(300_000), journal.ErrTooLarge)
	})
}

// A stream that gets no packets, since its maximum message was made too small, does not bound the
// packets of the others.
func TestTooSmallMessagesOfOneStream(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	c := testConfig(server.URL(), server.Monitor())
	c.Partitions = 2
	j := open(t, c)
	settings := c.streamConfig(0)
	settings.MaxMsgSize = 2000
	if _, err := j.link.JetStream.UpdateStream(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	until(t, "the stream gets no packets", func() bool {
		j.watching.Wake()
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.partitions[0].unsafe != nil
	})
	if err := j.AppendAll(sized(t, 10, 8000)); err != nil {
		t.Error(err)
	}
	if bytes := j.MaxPacketBytes(); bytes < 8000 {
		t.Errorf("packets may have %d bytes", bytes)
	}
}

// checkSize returns an error if a body of that many bytes is too large.
func (j *Journal) checkSize(bytes int) error {
	if bytes > j.MaxPacketBytes() {
		return journal.ErrTooLarge
	}
	return nil
}

func openWith(t *testing.T, c Config, logger *slog.Logger) *Journal {
	t.Helper()
	j, err := Open(t.Context(), c, Dependencies{Logger: logger, Pool: &packet.Pool{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() }) // its errors are tested elsewhere
	return j
}

// An envelope that the next server does not take, because its max_payload is smaller, is refused as
// too large when it is sent again.
func TestSmallerServer(t *testing.T) {
	first, second := natstest.Start(t, natstest.Options{}), natstest.Start(t, natstest.Options{More: "max_payload: 65536"})
	c := testConfig(first.URL(), "")
	j := open(t, c)
	j.link.Conn.SetServerPool([]string{first.URL(), second.URL()})
	first.Pause()
	ended := make(chan error, 1)
	go func() { ended <- appendError(j, sized(t, 1, 500_000)) }()
	until(t, "the packet is published", func() bool { j.mu.Lock(); defer j.mu.Unlock(); return len(j.published) == 1 })
	first.Kill()
	if err := <-ended; !errors.Is(err, journal.ErrTooLarge) || !strings.Contains(err.Error(), "at most 65536 (max_payload)") {
		t.Error(err)
	}
}

// An envelope that the next server does not take is refused for now if its packets fit one by one:
// they are accepted when they come again.
func TestSmallerServerForSmallPackets(t *testing.T) {
	first, second := natstest.Start(t, natstest.Options{}), natstest.Start(t, natstest.Options{More: "max_payload: 65536"})
	c := testConfig(first.URL(), "")
	j := open(t, c)
	j.link.Conn.SetServerPool([]string{first.URL(), second.URL()})
	first.Pause()
	ended := make(chan error, 1)
	go func() { ended <- j.AppendAll(sized(t, 20, 8000)) }()
	until(t, "the packets are published", func() bool { j.mu.Lock(); defer j.mu.Unlock(); return len(j.published) == 1 })
	first.Kill()
	if err := <-ended; !errors.Is(err, journal.ErrUnwritable) || errors.Is(err, journal.ErrTooLarge) || !strings.Contains(err.Error(), "at most 65536 (max_payload)") {
		t.Error(err)
	}
	until(t, "the packets are accepted", func() bool { return j.AppendAll(sized(t, 20, 8000)) == nil })
}

// Every stream is read although the memory suffices for few large packets, and large packets are
// read, too.
func TestPullsWithLittleMemory(t *testing.T) {
	server := natstest.Start(t, natstest.Options{More: "max_payload: 8388608"})
	c := testConfig(server.URL(), server.Monitor())
	c.Partitions = 3
	writer := open(t, c)
	reading := c
	reading.MemoryLimitBytes = 20 << 20
	j := open(t, reading)
	journaltest.Fetch(j, nil, 0)
	for i, bytes := range []int{300, 3_000_000, 300} {
		for partition := range c.Partitions {
			data := beginEnvelope(nil, fmt.Sprintf("other-%d-%d", i, partition), 1)
			data = appendRecord(data, sized(t, 1, bytes)[0], 0)
			if _, err := writer.link.JetStream.Publish(t.Context(), writer.partitions[partition].subject, data); err != nil {
				t.Fatal(err)
			}
		}
		for range c.Partitions {
			j.Ack(get(t, j, 1))
		}
	}
}

// A message that was stored when the servers took larger ones is read.
func TestMessageLargerThanMaxPayload(t *testing.T) {
	dir := t.TempDir()
	before := natstest.Start(t, natstest.Options{More: "max_payload: 33554432", Dir: dir})
	c := testConfig(before.URL(), before.Monitor())
	writer := open(t, c)
	if _, err := writer.Append(sized(t, 1, 25<<20)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	before.Stop()
	after := natstest.Start(t, natstest.Options{Dir: dir})
	c.Servers, c.Monitor = natslink.Servers(after.URL()), natslink.Servers(after.Monitor())
	j := open(t, c)
	deliver(t, j, 1)
}

// changeConsumer changes the consumer of the first stream.
func changeConsumer(t *testing.T, j *Journal, change func(*jetstream.ConsumerConfig)) error {
	t.Helper()
	settings := consumerConfig(j.config.subjectOf(0))
	change(&settings)
	_, err := j.link.JetStream.UpdateConsumer(t.Context(), j.config.streamOf(0), settings)
	return err
}

// The limit of the memory may change while the streams are watched, without a race.
func TestConfigureWhileWatching(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	c := testConfig(server.URL(), server.Monitor())
	j := open(t, c)
	done := make(chan struct{})
	var configuring sync.WaitGroup
	configuring.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				j.Configure(c)
			}
		}
	})
	for range 50 {
		j.mu.Lock()
		j.partitions[0].state.at = time.Time{}
		j.mu.Unlock()
		j.watching.Wake()
		until(t, "the streams are watched", func() bool {
			j.mu.Lock()
			defer j.mu.Unlock()
			return !j.partitions[0].state.at.IsZero()
		})
	}
	close(done)
	configuring.Wait()
}

// Packets that no stream stores at a limit of the account are refused with that reason, not after
// the time for which an answer is awaited, and are accepted when there is capacity.
func TestAccountLimit(t *testing.T) {
	server := natstest.Start(t, natstest.Options{More: "accounts {A {jetstream {max_store: 4194304}, users: [{user: me, password: secret}]}}"})
	c := testConfig(strings.Replace(server.URL(), "//", "//me:secret@", 1), server.Monitor())
	c.Partitions, c.MaxBytes = 2, 3<<20
	j := open(t, c)
	if _, err := j.link.JetStream.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	var taken int
	var refused error
	for _, p := range sized(t, 100, 100_000) {
		if taken == 5 {
			for range 4 {
				if _, err := j.link.JetStream.Publish(t.Context(), "other", make([]byte, 1<<19)); err != nil {
					t.Fatal(err)
				}
			}
		}
		var n int
		if n, refused = j.Append([]*packet.Packet{p}); refused != nil {
			break
		}
		taken += n
	}
	if !errors.Is(refused, journal.ErrUnwritable) || !strings.Contains(refused.Error(), "resource limits exceeded") {
		t.Fatalf("after %d packets: %v", taken, refused)
	}
	if err := j.link.JetStream.DeleteStream(t.Context(), "OTHER"); err != nil {
		t.Fatal(err)
	}
	until(t, "packets are accepted", func() bool {
		n, _ := j.Append(sized(t, 1, 100))
		return n == 1
	})
}
