//go:build linux

package cluster

import (
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// process is a distributor or a NATS server of TestFaultsTogether.
type process struct {
	kill, pause, resume, stop, launch func()
}

// processes returns all distributors and servers.
func (y *system) processes() (all []process) {
	for _, d := range y.distributors {
		all = append(all, process{
			kill: d.kill, launch: d.launch, pause: func() { d.signal(syscall.SIGSTOP) }, resume: func() { d.signal(syscall.SIGCONT) },
			stop: func() {
				d.signal(syscall.SIGTERM)
				<-d.ended
			},
		})
	}
	for _, s := range y.servers {
		all = append(all, process{kill: s.Kill, pause: s.Pause, resume: s.Resume, stop: s.Stop, launch: s.Launch})
	}
	return all
}

// fail kills, pauses or stops the process for a random time up to limit.
func (p process) fail(limit time.Duration) (name string) {
	faults := []struct {
		name        string
		begin, then func()
	}{{"killed", p.kill, p.launch}, {"paused", p.pause, p.resume}, {"stopped", p.stop, p.launch}}
	fault := faults[rand.IntN(len(faults))]
	fault.begin()
	time.Sleep(rand.N(limit))
	fault.then()
	return fault.name
}

// Distributors and NATS servers are killed, paused and stopped at random, each on its own, so that
// faults overlap in all ways: also faults of all servers, and before a previous fault has ended.
func TestFaultsTogether(t *testing.T) {
	if !*judge {
		t.Skip("takes minutes: with -judge")
	}
	y := newSystem(t, setup{kills: true, servers: 3, distributors: 3, environment: patient})
	const length = 2 * time.Minute
	longest := ackWait() / 2
	deadline := time.Now().Add(length)
	faults := make(map[string]int)
	names := make(chan string)
	all := y.processes()
	for _, p := range all {
		go func() {
			for time.Now().Before(deadline) {
				time.Sleep(rand.N(2 * longest))
				names <- p.fail(longest)
			}
			names <- ""
		}()
	}
	for ended := 0; ended < len(all); {
		if name := <-names; name != "" {
			faults[name]++
		} else {
			ended++
		}
	}
	for _, s := range y.servers {
		s.Await()
	}
	for _, d := range y.distributors {
		await(t, d.name+" is ready", func() bool {
			response, err := client.Get(d.url("/readyz"))
			if err != nil {
				return false
			}
			response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
	}
	t.Logf("processes were %v", faults)
	y.emitters.awaitMore(t, 300)
	y.finish()
}
