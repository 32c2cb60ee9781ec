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

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// analyzer controls a recording analyzer process. It keeps its address and its
// log over restarts.
type analyzer struct {
	t       *testing.T
	name    string
	address string   // where it listens
	log     string   // path
	within  []string // command prefix, such as ip netns exec
	analyzerSpec

	command   *exec.Cmd
	control   io.WriteCloser
	responses *bufio.Reader
	paused    bool
}

// analyzerSpec is an analyzer's normal behaviour.
type analyzerSpec struct {
	Weight float64
	// Service is the time one of Workers takes per packet. Without workers
	// packets are taken at once.
	Service time.Duration
	Workers int
	// Single disables NDJSON.
	Single bool
}

// capacity is in packets per second; without workers it is unknown.
func (s analyzerSpec) capacity() float64 {
	if s.Workers == 0 {
		return math.NaN()
	}
	return float64(s.Workers) / s.Service.Seconds()
}

// newAnalyzer starts an analyzer that ends with the test.
func newAnalyzer(t *testing.T, name string, spec analyzerSpec, address string, within ...string) *analyzer {
	t.Helper()
	a := &analyzer{t: t, name: name, analyzerSpec: spec, address: address, log: filepath.Join(t.TempDir(), name+".log"), within: within}
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
	control, err := a.command.StdinPipe()
	a.noError(err)
	responses, err := a.command.StdoutPipe()
	a.noError(err)
	a.noError(a.command.Start())
	a.control, a.responses, a.paused = control, bufio.NewReader(responses), false
	a.address = a.readReply()
	a.behave(analyzertest.Behaviour{})
}

// behave sets the behaviour.
func (a *analyzer) behave(b analyzertest.Behaviour) {
	a.t.Helper()
	b.Single, b.Service, b.Workers = a.Single, a.Service, a.Workers
	order, err := json.Marshal(b)
	a.noError(err)
	_, err = a.control.Write(append(order, '\n'))
	a.noError(err)
	a.readReply()
}

func (a *analyzer) readReply() string {
	a.t.Helper()
	line, err := a.responses.ReadString('\n')
	a.noError(err)
	return strings.TrimSpace(line)
}

// kill sends SIGKILL, which also closes the port.
func (a *analyzer) kill() {
	_ = a.command.Process.Kill() // it may have ended
	_ = a.command.Wait()         // says that it was killed
	_ = a.control.Close()
	a.command = nil
}

func (a *analyzer) pause() {
	a.t.Helper()
	a.noError(a.command.Process.Signal(sigStop))
	a.paused = true
}

func (a *analyzer) resume() {
	a.t.Helper()
	a.noError(a.command.Process.Signal(sigCont))
	a.paused = false
}

// restore undoes every injected fault.
func (a *analyzer) restore() {
	a.t.Helper()
	switch {
	case a.command == nil:
		a.start()
	case a.paused:
		a.resume()
	default:
		a.behave(analyzertest.Behaviour{})
	}
}

// taken returns the ids of the packets taken, in order.
func (a *analyzer) taken() []string {
	a.t.Helper()
	text, err := os.ReadFile(a.log)
	a.noError(err)
	return strings.Fields(string(text))
}

func (a *analyzer) noError(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(fmt.Errorf("%s: %w", a.name, err))
	}
}
