// Package upgrade replaces the binary of the running process by another one that inherits
// its sockets: the process id stays, and the kernel queues connections meanwhile.
//
// Sockets are passed as systemd passes them to a service that it activates: descriptors
// from 3 on, whose names are in LISTEN_FDNAMES. Inherit takes them in both cases.
//
//	Upgrader.Request ─▶ Preflight ─▶ the service hands over ─▶ Exec ─▶ new binary: Inherit ─▶ Ready
//	                                                             │                     └────▶ FallBack ─▶ old binary
//	                                                             └─ fails: the service continues
package upgrade

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrInProgress is the response to a request while another one is under way.
var ErrInProgress = errors.New("another upgrade is in progress")

// Result is how an upgrade ended, as a label of distributor_upgrades_total.
type Result string

// The results. Completed and StartFailed are counted by the process that continues.
const (
	Completed       Result = "completed"
	PreflightFailed Result = "preflight_failed" // nothing was changed
	Undelivered     Result = "undelivered"      // the service did not hand over, and continues
	ExecFailed      Result = "exec_failed"      // the service started again in this process
	StartFailed     Result = "start_failed"     // this binary took over again
)

// Upgrader upgrades this process. Request may be called concurrently.
type Upgrader struct {
	program  string   // path of the binary, of whatever version
	args     []string // without the program and the command
	results  *prometheus.CounterVec
	requests chan Request
	busy     atomic.Bool
}

// Request is one request for an upgrade. Who receives it from Requests calls Done once.
type Request struct{ done chan<- error }

// Done answers the request: nil means that the binary is about to be replaced.
func (r Request) Done(err error) { r.done <- err }

// New returns an Upgrader of a process with these arguments: the program, the name of the
// command, and flags.
func New(args []string) *Upgrader {
	u := &Upgrader{
		program: programPath(args[0]), args: args[2:], requests: make(chan Request),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "distributor_upgrades_total", Help: "Upgrades of the running binary, by how they ended.",
		}, []string{"result"}),
	}
	for _, r := range []Result{Completed, PreflightFailed, Undelivered, ExecFailed, StartFailed} {
		u.results.WithLabelValues(string(r))
	}
	return u
}

// programPath returns the absolute path at which a program was started and its next version
// will be. A link is not resolved, since it may be changed to point to that version.
func programPath(arg string) string {
	path := arg
	if !strings.ContainsRune(arg, filepath.Separator) {
		found, err := exec.LookPath(arg)
		if err != nil {
			found, _ = os.Executable()
		}
		path = found
	}
	if absolute, err := filepath.Abs(path); err == nil {
		return absolute
	}
	return path
}

// Program returns the path of the binary.
func (u *Upgrader) Program() string { return u.program }

// Collector returns the metrics of upgrades.
func (u *Upgrader) Collector() prometheus.Collector { return u.results }

// Count counts an upgrade that ended.
func (u *Upgrader) Count(r Result) { u.results.WithLabelValues(string(r)).Inc() }

// Requests returns the requests, for the goroutine that runs the service.
func (u *Upgrader) Requests() <-chan Request { return u.requests }

// Request starts an upgrade. It returns nil when the new binary is about to be executed,
// and otherwise why the service continues with this one: ErrInProgress, *PreflightError, or
// an error of the service.
func (u *Upgrader) Request(ctx context.Context) error {
	if !supported {
		return errors.New("upgrades of a running process need Linux: restart it instead")
	}
	if u.busy.Swap(true) {
		return ErrInProgress
	}
	defer u.busy.Store(false)
	done := make(chan error, 1)
	select {
	case u.requests <- Request{done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
