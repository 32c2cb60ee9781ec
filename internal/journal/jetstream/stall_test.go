package jetstream

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
)

const (
	unwritableText = "no stream can be written"
	writableText   = "the streams take packets again"
	diskText       = "whose disk was full"
)

// inTime runs a test of simulated streams.
func inTime(t *testing.T, test func(t *testing.T)) { t.Helper(); synctest.Test(t, test) }

// Streams that are tried in turn, none of which stores, make the journal unwritable although one of
// them is always about to be tried. With the first stored envelope it is writable.
func TestStreamsAreTriedInTurn(t *testing.T) {
	inTime(t, func(t *testing.T) {
		s := newScene(t, make([]simulated, 3)...)
		s.feed(2 * time.Minute)
		refused := s.send()
		s.expect(refused, journal.ErrUnwritable, 0)
		if !strings.Contains(refused.err.Error(), diskText) || s.logged(unwritableText) != 1 || s.logged(writableText) != 0 {
			t.Errorf("%v, the log is %s", refused.err, s.log)
		}
		if writable := s.writableLocked(); writable != 0 {
			t.Errorf("%d streams acknowledge", writable)
		}
		s.all(simulated{answer: acknowledges})
		s.feed(time.Second)
		stored := s.send()
		s.close()
		s.expect(stored, nil, sceneStep)
		if s.logged(writableText) != 1 {
			t.Errorf("the log is %s", s.log)
		}
	})
}

// A stream that gets packets again ends no stall before it has stored one.
func TestStallContinues(t *testing.T) {
	inTime(t, func(t *testing.T) {
		s := newScene(t, simulated{age: time.Hour}, simulated{unknown: true})
		s.feed(electionTimeout - time.Second)
		s.streams[0].age = 0
		s.feed(4 * time.Second)
		s.expect(s.send(), journal.ErrUnwritable, 0)
		s.close()
	})
}

// Packets that wait for a stream are refused when every stream is full, or silent besides.
func TestFullStreams(t *testing.T) {
	full := simulated{answer: isFull, bytes: 1 << 20, max: 1 << 20}
	for _, other := range []simulated{full, {}, {unknown: true}} {
		inTime(t, func(t *testing.T) {
			s := newScene(t, full, other)
			for range 4 * window {
				s.send()
			}
			s.run(2 * time.Second)
			s.expect(s.send(), journal.ErrFull, 0)
			s.feed(time.Minute)
			s.close()
			if s.logged(unwritableText) > 0 {
				t.Errorf("the log is %s", s.log)
			}
		})
	}
}

// Full streams that do not answer any more are no longer reported as full, and are when they answer.
func TestFullStreamsThatAreSilent(t *testing.T) {
	inTime(t, func(t *testing.T) {
		full := simulated{answer: isFull, bytes: 1 << 20, max: 1 << 20}
		s := newScene(t, full, full)
		s.feed(time.Second)
		s.connectionChanged(false, errors.New("no server"))
		s.expect(s.send(), journal.ErrUnwritable, 0)
		s.connectionChanged(true, nil)
		s.feed(time.Second)
		s.expect(s.send(), journal.ErrFull, 0)
		s.all(simulated{answer: acknowledges, max: 1 << 20})
		s.run(time.Second)
		stored := s.send()
		s.close()
		s.expect(stored, nil, sceneStep)
	})
}

// A connection that is lost while an unwritable journal is tried refuses the packet, and the reasons
// are those of the connection.
func TestConnectionLostDuringTrial(t *testing.T) {
	inTime(t, func(t *testing.T) {
		s := newScene(t, simulated{}, simulated{})
		s.feed(20 * time.Second)
		lost := errors.New("no server")
		s.connectionChanged(false, lost)
		s.expect(s.send(), lost, 0)
		s.connectionChanged(true, nil)
		again := s.send()
		s.expect(again, journal.ErrUnwritable, 0)
		if strings.Contains(again.err.Error(), diskText) {
			t.Errorf("after the connection was lost: %v", again.err)
		}
		s.all(simulated{answer: acknowledges})
		s.run(time.Second)
		stored := s.send()
		s.close()
		s.expect(stored, nil, sceneStep)
	})
}

// A stream that was silent is not doubted for as long as nothing is published, and is watched as
// seldom as others.
func TestStreamWithoutPackets(t *testing.T) {
	inTime(t, func(t *testing.T) {
		s := newScene(t, simulated{}, simulated{answer: acknowledges})
		s.feed(3 * time.Second)
		s.close()
		s.all(simulated{answer: acknowledges})
		s.run(time.Minute)
		watched := s.watched
		s.run(time.Hour)
		if rounds := s.watched - watched; rounds > int(time.Hour/watchInterval) {
			t.Errorf("the streams are watched %d times an hour", rounds)
		}
		if s.partitions[0].standing != doubtful || s.unwritable != nil || s.log.Len() > 0 {
			t.Errorf("standing %v, %v, the log is %s", s.partitions[0].standing, s.unwritable, s.log)
		}
		s.feed(time.Second)
		if s.partitions[0].standing != storing {
			t.Error("the stream is doubted although it stores")
		}
	})
}

// A stream that refuses gets no packets for a while; they go to the others at once. If all refuse,
// packets are refused at once, for the reason that the streams give.
func TestRefusal(t *testing.T) {
	inTime(t, func(t *testing.T) {
		s := newScene(t, simulated{answer: refusesAll}, simulated{answer: acknowledges})
		s.feed(5 * time.Second)
		s.close()
		for _, o := range s.sent {
			s.expect(o, nil, 2*sceneStep)
		}
		s.all(simulated{answer: refusesAll})
		s.feed(time.Minute)
		refused := s.send()
		s.close()
		s.expect(refused, journal.ErrUnwritable, sceneStep)
		if !strings.Contains(refused.err.Error(), "resource limits exceeded") || s.logged(unwritableText) != 1 {
			t.Errorf("%v, the log is %s", refused.err, s.log)
		}
		s.all(simulated{})
		s.feed(15 * time.Second)
		if refused = s.send(); strings.Contains(refused.err.Error(), "resource limits exceeded") {
			t.Errorf("the streams do not refuse any more: %v", refused.err)
		}
	})
}

// A stream that refuses an envelope twice, since it was sent twice, says nothing about the stream
// that gets the envelope after it.
func TestRefusedTwice(t *testing.T) {
	inTime(t, func(t *testing.T) {
		s := newScene(t, simulated{}, simulated{})
		s.send()
		s.publish()
		first := s.lastNumber
		refusing := s.published[first].partition
		s.reply(first, isFull)
		s.reply(first, isFull)
		for _, p := range s.partitions {
			if p.full != (p == refusing) {
				t.Errorf("the stream %d is full: %v", p.index, p.full)
			}
		}
	})
}

// A stream that is storing an earlier message of an envelope does not refuse it.
func TestEnvelopeInProcess(t *testing.T) {
	inTime(t, func(t *testing.T) {
		s := newScene(t, simulated{answer: inProcess}, simulated{answer: acknowledges})
		sent := s.send()
		s.run(5 * silentAfter)
		if cause := s.partitions[0].cause; cause == nil || strings.Contains(cause.Error(), "in process") || sent.ended {
			t.Errorf("%v, the packet has ended: %v", cause, sent.ended)
		}
		s.all(simulated{answer: acknowledges})
		s.close()
		if sent.err != nil {
			t.Error(sent.err)
		}
	})
}

// A stream that gets an envelope, which another one has kept for long, has the usual time to answer.
func TestRedirectedLate(t *testing.T) {
	inTime(t, func(t *testing.T) {
		s := newScene(t, simulated{}, simulated{})
		s.send()
		s.run(5 * silentAfter)
		s.streams[s.published[s.lastNumber].partition.index].answer = isFull
		s.answer()
		to := s.published[s.lastNumber].partition
		if s.sender.resend(time.Now()); to.standing != storing {
			t.Errorf("the next stream has standing %v at once", to.standing)
		}
	})
}

// An unwritable journal is tried at another stream while one has not answered.
func TestTrialOfAnotherStream(t *testing.T) {
	inTime(t, func(t *testing.T) {
		s := newScene(t, simulated{}, simulated{unknown: true})
		s.feed(25 * time.Second)
		s.streams[1] = simulated{answer: acknowledges}
		s.feed(time.Second)
		stored := s.send()
		s.close()
		s.expect(stored, nil, sceneStep)
	})
}

// The cause has all reasons why streams cannot be written, and none of a stream that packets are not
// published to.
func TestCauses(t *testing.T) {
	inTime(t, func(t *testing.T) {
		s := newScene(t, simulated{answer: acknowledges, age: time.Hour}, simulated{unknown: true}, simulated{answer: acknowledges, age: time.Hour})
		s.partitions[2].publishes = false
		s.feed(20 * time.Second)
		refused := s.send()
		text := refused.err.Error()
		if !errors.Is(refused.err, journal.ErrUnwritable) || !strings.Contains(text, "LOGSTREAMER-0 would lose packets") || !strings.Contains(text, "LOGSTREAMER-1 does not answer") || strings.Contains(text, "LOGSTREAMER-2") {
			t.Errorf("%v", refused.err)
		}
		s.close()
	})
}

// Streams that packets cannot be published to until an operator changes their settings, that nothing
// is published to, or that have refused a packet before, are watched as seldom as others.
func TestWatchInterval(t *testing.T) {
	for i, one := range []simulated{{answer: acknowledges, age: time.Hour}, {answer: refusesAll}, {unknown: false}} {
		inTime(t, func(t *testing.T) {
			s := newScene(t, one, simulated{answer: acknowledges})
			s.partitions[0].publishes = i < 2
			s.feed(time.Second)
			s.run(time.Minute)
			watched := s.watched
			s.run(time.Hour)
			if rounds := s.watched - watched; rounds > int(time.Hour/watchInterval) {
				t.Errorf("case %d: the streams are watched %d times an hour", i, rounds)
			}
		})
	}
}

// Whatever streams do, and in which order: each packet ends, the log has in
// turns that no stream can be written and that one can, and packets are accepted as soon as all
// streams store.
func TestStreamsThatChange(t *testing.T) {
	const seeds = 20
	behaviours := []simulated{
		{answer: acknowledges}, {answer: acknowledges}, {}, {unknown: true}, {answer: refusesAll},
		{answer: isFull, bytes: 1 << 20, max: 1 << 20}, {answer: acknowledges, age: time.Hour},
	}
	for seed := range uint64(seeds) {
		inTime(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			s := newScene(t, make([]simulated, 1+random.IntN(4))...)
			for range 60 {
				s.streams[random.IntN(len(s.streams))] = behaviours[random.IntN(len(behaviours))]
				switch pause := time.Duration(random.IntN(5000)) * time.Millisecond; random.IntN(10) {
				case 0:
					s.connectionChanged(false, errors.New("no server"))
					s.run(pause)
					s.connectionChanged(true, nil)
				case 1:
					s.run(10 * pause)
				default:
					s.feed(pause)
				}
				if unwritable := s.logged(unwritableText) - s.logged(writableText); unwritable < 0 || unwritable > 1 {
					t.Fatalf("seed %d: the log is %s", seed, s.log)
				}
			}
			s.all(simulated{answer: acknowledges})
			s.feed(2 * time.Second)
			s.run(2 * publishTimeout) // what waits is stored
			stored := s.send()
			s.close()
			if s.expect(stored, nil, sceneStep); t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}
