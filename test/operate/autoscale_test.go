//go:build linux

package operate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/discovery/dnstest"
	"github.com/logstreamer/logstreamer/test/ports"
)

// orchestrator starts and stops processes of analyzers when AUTOSCALE_COMMAND asks for it, as
// orchestrators of containers do: DNS has the working analyzers, and a process ends only after its
// distributor has removed it.
type orchestrator struct {
	*testing.T
	dns    *dnstest.Server
	server *httptest.Server
	ended  sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	running  []*pod
	most     int // that ran at once
	messages int64
	letGo    func(port int) // returns when the distributor has removed the analyzer
}

// pod is a process of an analyzer.
type pod struct {
	*exec.Cmd
	port int
}

const podService = "_ingest._tcp.pods.test"

func newOrchestrator(t *testing.T) *orchestrator {
	o := &orchestrator{T: t, dns: dnstest.New(t)}
	o.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/scale/"+podService+"/"))
		if err == nil {
			err = o.scale(n)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	t.Cleanup(o.stop)
	return o
}

// command returns the AUTOSCALE_COMMAND for this orchestrator.
func (o *orchestrator) command() string {
	return program + " healthcheck " + o.server.URL + "/scale/{group}/{desired}"
}

func (o *orchestrator) scale(n int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.running) < n {
		one, err := startPod()
		if err != nil {
			return err
		}
		o.running = append(o.running, one)
	}
	o.most = max(o.most, n)
	leaving := slices.Clone(o.running[n:])
	o.running = o.running[:n]
	o.publish()
	for _, one := range leaving {
		o.ended.Go(func() { o.end(one) })
	}
	return nil
}

// publish sets the members of the group in DNS to the running analyzers.
func (o *orchestrator) publish() {
	var records []string
	for _, one := range o.running {
		records = append(records, fmt.Sprintf("60 IN SRV 0 1 %d localhost.", one.port))
	}
	o.dns.Set(podService, records...)
}

// startPod starts an analyzer, which takes 80 packets a second, and waits until it listens.
func startPod() (*pod, error) {
	free, err := ports.Free(1)
	if err != nil {
		return nil, err
	}
	one := &pod{exec.Command(program, "analyzer", "-listen-addr", "127.0.0.1", "-port", fmt.Sprint(free[0]), "-processing-delay-ms", "100"), free[0]}
	if err := one.Start(); err != nil {
		return nil, err
	}
	for range 6000 { // a minute
		conn, err := net.Dial("tcp", one.address())
		if err == nil {
			return one, conn.Close()
		}
		time.Sleep(10 * time.Millisecond) // there is no event when it listens
	}
	return nil, errors.Join(errors.New("an analyzer does not start"), one.Process.Kill(), one.Wait())
}

func (p *pod) address() string { return fmt.Sprintf("localhost:%d", p.port) }

// end stops an analyzer that DNS no longer has, and counts its messages.
func (o *orchestrator) end(one *pod) {
	o.letGo(one.port)
	o.count(one)
	if err := errors.Join(one.Process.Signal(syscall.SIGTERM), one.Wait()); err != nil {
		o.Errorf("an analyzer ends with %v", err)
	}
}

func (o *orchestrator) count(one *pod) {
	response, err := http.Get("http://" + one.address() + "/stats")
	if err != nil {
		o.Error(err)
		return
	}
	defer response.Body.Close()
	var stats struct{ Messages int64 }
	if err := json.NewDecoder(response.Body).Decode(&stats); err != nil {
		o.Error(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.messages += stats.Messages
}

// taken returns the number of messages that all analyzers have taken, without duplicates.
func (o *orchestrator) taken() int64 {
	o.ended.Wait()
	for _, one := range o.running {
		o.count(one)
	}
	return o.messages
}

func (o *orchestrator) stop() {
	o.server.Close()
	o.ended.Wait()
	for _, one := range o.running {
		_ = one.Process.Kill()
		_ = one.Wait()
	}
}

func (o *orchestrator) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.running)
}

// scaleAnswer is the response of GET /v1/scale for the pods.
type scaleResponse struct {
	Desired, Current int
	Pace             float64
	Reason           string
}

func (d *distributor) scale() (s scaleResponse) {
	d.Helper()
	if status, err := d.request(http.MethodGet, "/v1/scale?group="+podService, "", &s); err != nil || status != http.StatusOK {
		d.Fatal(status, err)
	}
	return s
}

// waitUntilGone returns when no analyzer, configured or leaving, has a port.
func (d *distributor) waitUntilGone(port int) {
	var all struct {
		Drains []struct {
			Analyzer string
			Running  bool
		}
	}
	await(d.T, "an analyzer has left", func() bool {
		if status, err := d.request(http.MethodGet, "/v1/drains", "", &all); err != nil || status != http.StatusOK {
			return false
		}
		for _, one := range all.Drains {
			if strings.HasSuffix(one.Analyzer, fmt.Sprintf("-%d", port)) {
				return !one.Running
			}
		}
		return false
	})
}

// emit starts an emitter with a rate; end stops it, once.
func (d *distributor) emit(rate string) (end func()) {
	d.Helper()
	emitter := exec.Command(program, "emitter", "-target", "http://"+d.ingest+"/ingest", "-rate", rate, "-packet-size", "5", "-emitter-id", "at-"+rate)
	if err := emitter.Start(); err != nil {
		d.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := errors.Join(emitter.Process.Signal(syscall.SIGTERM), emitter.Wait()); err != nil {
			d.Errorf("an emitter ends with %v", err)
		}
	})
}

// awaitDelivery waits until all accepted packets are delivered, and returns the number of messages.
func (d *distributor) awaitDelivery() (messages int64) {
	d.Helper()
	var status struct {
		Ledger struct {
			Accepted, Delivered struct{ Packets, Messages int64 }
			Unaccounted         int64 `json:"unaccounted_messages"`
		}
	}
	await(d.T, "everything is delivered", func() bool {
		if _, err := d.request(http.MethodGet, "/v1/status", "", &status); err != nil {
			d.Fatal(err)
		}
		return status.Ledger.Delivered == status.Ledger.Accepted && status.Ledger.Unaccounted == 0
	})
	return status.Ledger.Accepted.Messages
}

// When the load grows, AUTOSCALE_COMMAND starts analyzers, which get their share; when it falls,
// they are drained and end. No message is lost.
func TestAutoscale(t *testing.T) {
	o := newOrchestrator(t)
	if err := o.scale(1); err != nil {
		t.Fatal(err)
	}
	d := start(t, "srv+http://"+podService+"=1",
		"-journal", "disk", "-discovery-dns", o.dns.Address, "-slow-start-sec", "1", "-sender-timeout-ms", "4000",
		"-autoscale", "command", "-autoscale-command", o.command(), "-autoscale-max", "4",
		"-autoscale-drain-sec", "2", "-autoscale-quiet-sec", "2", "-autoscale-cooldown-sec", "5")
	o.letGo = d.waitUntilGone
	endLow := d.emit("20")
	defer endLow()
	endHigh := d.emit("200")
	defer endHigh()
	await(t, "analyzers have come", func() bool { return o.size() >= 3 && d.scale().Current >= 3 })
	t.Logf("%+v", d.scale())
	await(t, "the new ones take packets", func() bool { return d.shares() >= 3 })
	endHigh()
	await(t, "analyzers have gone", func() bool { return o.size() == 1 && d.scale().Current == 1 })
	endLow()
	accepted := d.awaitDelivery()
	if taken := o.taken(); taken != accepted {
		t.Errorf("analyzers took %d messages, accepted were %d", taken, accepted)
	}
	t.Logf("%d messages, %d analyzers at most", accepted, o.most)
	if events := d.get("http://" + d.admin + "/v1/events"); !strings.Contains(events, `"autoscaled"`) || strings.Contains(events, "autoscale_failed") {
		t.Errorf("%s", events)
	}
	d.stop()
}

// shares returns the number of analyzers that have got packets.
func (d *distributor) shares() (n int) {
	var all struct {
		Analyzers []struct {
			Status struct{ Routed struct{ Packets int64 } }
		}
	}
	if status, err := d.request(http.MethodGet, "/v1/analyzers", "", &all); err != nil || status != http.StatusOK {
		d.Fatal(status, err)
	}
	for _, one := range all.Analyzers {
		if one.Status.Routed.Packets > 0 {
			n++
		}
	}
	return n
}
