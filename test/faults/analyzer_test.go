package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// analyzer is a recording analyzer as the test sees it. It keeps its address
// and its log over restarts.
type analyzer struct {
	t       *testing.T
	name    string
	address string   // where it listens
	log     string   // path
	within  []string // a command that runs it, such as ip netns exec
	plan

	command *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Reader
	paused  bool
}

// plan is what an analyzer is like while nothing is wrong with it.
type plan struct {
	Weight float64
	// Service is how long one of Workers takes for a packet. Without workers
	// packets are taken at once.
	Service time.Duration
	Workers int
	// Single: it takes one packet a request, the others many.
	Single bool
}

// capacity is how many packets it takes in a second; without workers it is
// not known.
func (p plan) capacity() float64 {
	if p.Workers == 0 {
		return math.NaN()
	}
	return float64(p.Workers) / p.Service.Seconds()
}

// newAnalyzer starts an analyzer that ends with the test.
func newAnalyzer(t *testing.T, name string, p plan, address string, within ...string) *analyzer {
	t.Helper()
	a := &analyzer{t: t, name: name, plan: p, address: address, log: filepath.Join(t.TempDir(), name+".log"), within: within}
	t.Cleanup(func() {
		if a.command != nil {
			a.kill()
		}
	})
	a.start()
	return a
}

// start starts the process and returns when it listens.
func (a *analyzer) start() {
	a.t.Helper()
	arguments := append(append([]string{}, a.within...), os.Args[0], a.log)
	a.command = exec.Command(arguments[0], arguments[1:]...)
	a.command.Env = append(os.Environ(), roleVariable+"="+a.address)
	a.command.Stderr = os.Stderr
	orders, err := a.command.StdinPipe()
	a.must(err)
	answers, err := a.command.StdoutPipe()
	a.must(err)
	a.must(a.command.Start())
	a.orders, a.answers, a.paused = orders, bufio.NewReader(answers), false
	a.address = a.hear()
	a.behave(Behaviour{})
}

// behave changes what it does from now on.
func (a *analyzer) behave(b Behaviour) {
	a.t.Helper()
	b.Single, b.Service, b.Workers = a.Single, a.Service, a.Workers
	order, err := json.Marshal(b)
	a.must(err)
	_, err = a.orders.Write(append(order, '\n'))
	a.must(err)
	a.hear()
}

func (a *analyzer) hear() string {
	a.t.Helper()
	line, err := a.answers.ReadString('\n')
	a.must(err)
	return strings.TrimSpace(line)
}

// kill ends the process with SIGKILL, and thereby closes its port.
func (a *analyzer) kill() {
	_ = a.command.Process.Kill() // it may have ended
	_ = a.command.Wait()         // says that it was killed
	_ = a.orders.Close()
	a.command = nil
}

func (a *analyzer) pause() {
	a.t.Helper()
	a.must(a.command.Process.Signal(sigStop))
	a.paused = true
}

func (a *analyzer) resume() {
	a.t.Helper()
	a.must(a.command.Process.Signal(sigCont))
	a.paused = false
}

// heal brings it back to work, whatever was done to it.
func (a *analyzer) heal() {
	a.t.Helper()
	switch {
	case a.command == nil:
		a.start()
	case a.paused:
		a.resume()
	default:
		a.behave(Behaviour{})
	}
}

// taken returns the ids of the packets that it took, in order.
func (a *analyzer) taken() []string {
	a.t.Helper()
	text, err := os.ReadFile(a.log)
	a.must(err)
	return strings.Fields(string(text))
}

func (a *analyzer) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(fmt.Errorf("%s: %w", a.name, err))
	}
}
