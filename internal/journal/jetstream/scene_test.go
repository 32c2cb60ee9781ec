package jetstream

import (
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/metric"
	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// scene is a journal whose streams are simulated: step does what its sender and its watcher do.
type scene struct {
	*Journal
	t       *testing.T
	sender  *sender
	streams []simulated
	log     *strings.Builder
	packets journaltest.Packets
	sent    []*outcome
	watched int       // how often the streams were watched
	due     time.Time // when they are watched next
}

// simulated is the behaviour of a stream.
type simulated struct {
	answer     string // to publications: an acknowledgement, a refusal, or "" for none
	unknown    bool   // requests for the state get no response
	bytes, max uint64
	age        time.Duration // the stream's maximum age
}

const (
	acknowledges = `{"stream":"S","seq":1}`
	refusesAll   = `{"error":{"code":400,"err_code":10002,"description":"resource limits exceeded for account"},"stream":"S","seq":0}`
	inProcess    = `{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"},"stream":"S","seq":0}`
	isFull       = `{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"S","seq":0}`
)

func newScene(t *testing.T, streams ...simulated) *scene {
	log := &strings.Builder{}
	c := DefaultConfig()
	c.Partitions, c.MemoryLimitBytes = len(streams), 64<<20
	j := newJournal(c, Dependencies{Logger: slog.New(slog.NewTextHandler(log, nil))})
	j.metrics, j.link = newMetrics(metric.On(nil)), &natslink.Link{Conn: &nats.Conn{}}
	j.opened, j.unwritable = true, nil
	close(j.linked)
	for _, p := range j.partitions {
		p.ready, p.answered = true, time.Now()
	}
	return &scene{Journal: j, t: t, sender: &sender{journal: j}, streams: streams, log: log}
}

// sceneStep is the time between two steps.
const sceneStep = watchFailingInterval / 5

// run lets a time pass.
func (s *scene) run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(sceneStep) {
		s.publish()
		s.answer()
		s.sender.resend(time.Now())
		if !time.Now().Before(s.due) {
			s.watch()
		}
	}
}

func (s *scene) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := s.choosePartitionLocked(time.Now()); p != nil; p = s.choosePartitionLocked(time.Now()) {
		o := s.collectLocked(p)
		s.lastBegun = time.Now().Add(-gatherTime)
		s.published[o.number] = o
	}
}

func (s *scene) answer() {
	s.mu.Lock()
	due := make(map[uint64]string)
	for number, o := range s.published {
		if answer := s.streams[o.partition.index].answer; answer != "" {
			due[number] = answer
		}
	}
	s.mu.Unlock()
	for number, answer := range due {
		s.reply(number, answer)
	}
}

// reply is an answer to the publication with a number.
func (s *scene) reply(number uint64, answer string) {
	s.onPubAck(&nats.Msg{Subject: s.pubAckSubject + strconv.FormatUint(number, 10), Data: []byte(answer)})
}

func (s *scene) watch() {
	s.stall.alive = time.Now() // the server answers pings
	well := true
	for i, p := range s.partitions {
		if one := s.streams[i]; one.unknown {
			well = false
			s.noteNoState(p)
		} else {
			config := s.config.streamConfig(i)
			config.MaxAge, config.MaxBytes, config.Replicas = one.age, int64(one.max), 1
			well = s.noteState(p, &jetstream.StreamInfo{Config: config, State: jetstream.StreamState{Bytes: one.bytes}}) && well
		}
	}
	s.watched++
	s.due = time.Now().Add(watchInterval)
	if !well {
		s.due = time.Now().Add(watchFailingInterval)
	}
}

// all changes the behaviour of all streams.
func (s *scene) all(one simulated) {
	for i := range s.streams {
		s.streams[i] = one
	}
}

// outcome is the result of a packet.
type outcome struct {
	err   error
	begun time.Time
	after time.Duration
	ended bool
}

// OnCommit implements journal.Waiter.
func (o *outcome) OnCommit(err error) { o.err, o.after, o.ended = err, time.Since(o.begun), true }

// send appends a packet.
func (s *scene) send() *outcome {
	o := &outcome{begun: time.Now()}
	s.sent = append(s.sent, o)
	p := s.packets.Make(s.t, "emitter", strconv.Itoa(int(time.Now().UnixNano())), 300)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.capacityLocked(sendingFootprint(p)); err != nil {
		o.OnCommit(err)
		return o
	}
	s.sendingBytes += sendingFootprint(p)
	s.pendingBytes += recordBytes(p)
	s.pending = append(s.pending, &request{waiter: o, packets: []*packet.Packet{p}, bytes: recordBytes(p)})
	return o
}

// feed sends a packet in each step of a time.
func (s *scene) feed(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		s.send()
		s.run(sceneStep)
	}
}

// expect checks an outcome.
func (s *scene) expect(o *outcome, want error, within time.Duration) {
	s.t.Helper()
	if !o.ended || !errors.Is(o.err, want) || o.after > within {
		s.t.Errorf("the packet has ended: %v, after %v with %v; want %v within %v", o.ended, o.after, o.err, want, within)
	}
}

// close checks that every packet ends: it waits for a stream, and then for an acknowledgement.
func (s *scene) close() {
	s.t.Helper()
	s.run(silentAfter + electionTimeout + publishTimeout + 10*sceneStep)
	for i, o := range s.sent {
		if !o.ended {
			s.t.Fatalf("the packet %d of %d waits since %v", i, len(s.sent), time.Since(o.begun))
		}
	}
}

// logged returns how often the log has a text.
func (s *scene) logged(text string) int { return strings.Count(s.log.String(), text) }
