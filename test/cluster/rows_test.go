//go:build linux

package cluster

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// The fault rows: each is a fault under load, after which no accepted packet may be lost.

// Distributors are killed and restarted, one after the other.
func TestDistributorsKilled(t *testing.T) {
	t.Parallel()
	if !*judge {
		t.Skip("takes minutes: with -judge")
	}
	y := newSystem(t, setup{kills: true, servers: 1, distributors: 3})
	for range 20 {
		y.emitters.awaitMore(t, 300)
		d := y.distributors[rand.IntN(3)]
		d.kill()
		d.start()
	}
	y.finish()
}

// Distributors that stop gracefully, in the middle of envelopes, return their packets to the others
// at once. None of these packets was delivered before, and no emitter that continues with the next
// distributor is refused for long.
func TestDistributorsRestartOneByOne(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 1, distributors: 2, environment: patient})
	y.behave(analyzertest.Behaviour{Delay: 50 * time.Millisecond})
	for range rounds(10) {
		for _, d := range y.distributors {
			y.emitters.awaitMore(t, 200)
			d.stop()
			d.start()
		}
	}
	if duplicates := y.finish(); duplicates > 0 {
		t.Errorf("%d packets were delivered again", duplicates)
	}
	for code := range y.emitters.refused {
		if code != "503 draining" {
			t.Errorf("packets were refused: %v", y.emitters.refused)
		}
	}
	if y.emitters.row > 1 {
		t.Errorf("the next distributor refused, too: %d attempts in a row", y.emitters.row)
	}
}

// Two of three distributors stop at the same time, in the middle of envelopes, gracefully and by
// kill -9.
func TestTwoDistributorsStopped(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{kills: true, servers: 1, distributors: 3})
	stopped := y.distributors[:2]
	for range rounds(5) {
		for _, end := range []func(*distributor){(*distributor).stop, (*distributor).kill} {
			y.behave(analyzertest.Behaviour{Delay: 50 * time.Millisecond}) // so that they hold packets
			y.emitters.awaitMore(t, 500)
			var stopping sync.WaitGroup
			for _, d := range stopped {
				stopping.Go(func() { end(d) })
			}
			stopping.Wait()
			y.emitters.awaitMore(t, 200)
			y.behave(analyzertest.Behaviour{})
			for _, d := range stopped {
				d.start()
			}
		}
	}
	y.finish()
}

// A cluster of three servers loses a stream's leader and a follower by kill -9, then all.
func TestServersKilled(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{kills: true, servers: 3, distributors: 2})
	for range rounds(5) {
		leader, follower := y.servers.Leader("LOGSTREAMER-0")
		for _, server := range []*natstest.Server{leader, follower} {
			server.Kill()
			y.emitters.awaitMore(t, 300)
			server.Restart()
		}
		for _, server := range y.servers {
			server.Kill()
		}
		y.emitters.awaitRefusals(t, 50)
		for _, server := range y.servers {
			server.Launch()
		}
		y.emitters.awaitMore(t, 300)
	}
	y.finish()
}

// The leader of a stream and a follower are paused for a while, as by a stalled disk or machine.
func TestServersStopped(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{kills: true, servers: 3, distributors: 2})
	for range rounds(3) {
		leader, follower := y.servers.Leader("LOGSTREAMER-0")
		for _, server := range []*natstest.Server{leader, follower} {
			server.Pause()
			y.emitters.awaitMore(t, 300)
			server.Resume()
			y.emitters.awaitMore(t, 300)
		}
	}
	y.finish()
}

// Servers restart gracefully, one by one. Packets wait while the streams' leaders are elected.
func TestServersRestartOneByOne(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 3, distributors: 2, environment: patient})
	for range rounds(3) {
		for _, server := range y.servers {
			y.emitters.awaitMore(t, 200)
			server.Stop()
			y.emitters.awaitMore(t, 200)
			server.Restart()
		}
	}
	y.finish()
	if len(y.emitters.refused) > 0 {
		t.Errorf("packets were refused: %v", y.emitters.refused)
	}
}

// A distributor is paused for longer than its claims last: others deliver its packets. When it
// resumes it delivers the packets in flight, and neither its queued packets nor those that arrived
// at its sockets meanwhile, which are several times as many.
func TestDistributorStopped(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{kills: true, servers: 1, distributors: 2, environment: patient})
	y.distributors[0].signal(syscall.SIGSTOP)
	y.wait(ackWait() + 5*time.Second)
	y.distributors[0].signal(syscall.SIGCONT)
	y.emitters.awaitMore(t, 300)
	const begun = 300
	if duplicates := y.finish(); duplicates > begun {
		t.Errorf("%d packets were delivered again", duplicates)
	}
}

// While the streams are full packets are refused as overloaded; with capacity they are accepted.
func TestStreamsFull(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 1, distributors: 2, environment: []string{"JETSTREAM_MAX_BYTES=3MiB"}})
	y.behave(analyzertest.Behaviour{Status: 503})
	y.emitters.pace.Store(0)
	y.emitters.size.Store(10_000) // so that few packets fill the streams
	y.emitters.awaitRefusals(t, 500)
	y.emitters.size.Store(300)
	y.behave(analyzertest.Behaviour{})
	y.emitters.awaitMore(t, 1000)
	y.finish()
	for code := range y.emitters.refused {
		if code != "503 overloaded" {
			t.Errorf("packets were refused: %v", y.emitters.refused)
		}
	}
}

// Without NATS packets are refused at once, in bounded memory, and soon after NATS returns they are
// accepted.
func TestOutage(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 1, distributors: 1})
	away := 3 * time.Second
	if *judge {
		away = time.Minute
	}
	y.servers[0].Kill()
	y.emitters.awaitRefusals(t, 100)
	y.wait(away)
	y.servers[0].Launch()
	back := time.Now()
	y.emitters.awaitMore(t, 500)
	recovered := time.Since(back)
	y.finish()
	e := y.emitters
	for code := range e.refused {
		if code != "503 journal_unwritable" {
			t.Errorf("packets were refused: %v", e.refused)
		}
	}
	if int(e.refusals.Load()) != e.hints {
		t.Errorf("%d of %d refusals have no Retry-After", int(e.refusals.Load())-e.hints, e.refusals.Load())
	}
	memory := y.distributors[0].peakMemory()
	t.Logf("refusals within %v, 500 packets within %v of the start of NATS, %d MiB", e.refusalP99(), recovered.Round(time.Millisecond), memory)
	if memory > 300 {
		t.Errorf("it had %d MiB of memory", memory)
	}
	if *judge && (e.refusalP99() > 50*time.Millisecond || recovered > 5*time.Second) {
		t.Errorf("99 %% of refusals took up to %v, and it recovered within %v", e.refusalP99(), recovered)
	}
}

// A distributor that reaches no analyzer returns its packets to a distributor that does.
func TestDistributorWithoutAnalyzers(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 1, distributors: 2, apart: true})
	y.analyzers[0].Behave(analyzertest.Behaviour{Hang: true, Probes: true})
	y.emitters.awaitMore(t, 500)
	y.finish()
}

// A distributor that does not read loses its connection as a slow consumer; the other one delivers
// its packets, and it continues with a new connection.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	if !*judge {
		t.Skip("takes a minute: with -judge")
	}
	y := newSystem(t, setup{servers: 1, distributors: 2, nats: natstest.Options{More: "write_deadline: \"500ms\""}})
	y.emitters.pace.Store(0)
	y.emitters.size.Store(20_000) // more than sockets hold
	y.distributors[0].signal(syscall.SIGSTOP)
	await(t, "the server closes the connection", func() bool { return y.servers[0].SlowConsumers() > 0 })
	y.distributors[0].signal(syscall.SIGCONT)
	y.emitters.pace.Store(int64(usualPace()))
	y.emitters.size.Store(300)
	y.emitters.awaitMore(t, 1000)
	y.finish()
}
