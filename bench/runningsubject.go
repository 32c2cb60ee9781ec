//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/logstreamer/logstreamer/test/ports"
)

// runningSubject is a started subject and its load.
type runningSubject struct {
	subject       subject
	subjectConfig subjectConfig
	process       *process
	group         controlGroup    // of its process; empty without a quota
	twin          *runningSubject // its second process, which has no load of its own; nil without one
	companions    []*process
	traffic       traffic
	text          *packetText
	load          *load
	start         time.Duration // until it was ready
	idle          int64         // bytes of memory that it had then
}

// startSubject starts a subject and connects the load to it.
func (a *testbed) startSubject(s subject, e experiment, analyzers []int) (*runningSubject, error) {
	if s.cores > len(a.cores) {
		return nil, unavailable{fmt.Sprintf("it needs %d cores", s.cores)}
	}
	free, err := ports.Free(3)
	if err != nil {
		return nil, err
	}
	c, err := a.newRunningSubject(s, e, analyzers, free)
	if err != nil || s.alone != nil {
		return c, err
	}
	if s.secure {
		if c.subjectConfig.files, err = writeCertificate(c.subjectConfig.dir); err != nil {
			return c, err
		}
	}
	if err := c.startCompanions(a.cores); err != nil {
		return c, err
	}
	if err := a.launch(c, a.cores[:s.cores]); err != nil {
		return c, err
	}
	twin, err := a.launchTwin(c, free[2])
	if err != nil {
		return c, err
	}
	loadPorts := append([]int{c.subjectConfig.loadPort()}, twin...)
	c.load, err = newLoad(a.loop, a.ledger, loadPorts, len(loadPorts)*e.connections, c.tls(), func() *request { return newRequest(c.traffic, c.text) })
	return c, err
}

// newRunningSubject returns a subject that has its directory, and two of the free ports, but no process.
func (a *testbed) newRunningSubject(s subject, e experiment, analyzers, free []int) (*runningSubject, error) {
	dir, err := os.MkdirTemp(a.dir, "subject-")
	if err != nil {
		return nil, err
	}
	shape := e.traffic
	if s.traffic != nil {
		shape = *s.traffic
	}
	p := subjectConfig{port: free[0], analyzers: analyzers, connections: e.connections, dir: dir, distributor: a.distributor, inputs: "http"}
	if f := shape.Records; f != nil {
		p.scheme = f.scheme
		if f.input != "" {
			p.input, p.inputPort = f.input, free[1]
			p.inputs += fmt.Sprintf(",%s=127.0.0.1:%d", p.input, p.inputPort)
		}
	}
	return &runningSubject{subject: s, traffic: shape, text: newPacketText(shape), subjectConfig: p}, nil
}

// launch starts the subject's process, and measures how long that takes and the memory it has then.
func (a *testbed) launch(c *runningSubject, cores []int) error {
	command, err := c.subject.command(c.subjectConfig)
	if err != nil {
		return err
	}
	began := time.Now()
	if c.process, err = startProcess(command, cores); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if err := c.limit(); err != nil {
		return err
	}
	if err := a.awaitReady(c); err != nil {
		return err
	}
	c.start = time.Since(began)
	c.idle, err = anonymousMemory(c.process.command.Process.Pid)
	return err
}

// limit moves the subject's process into a control group with its quota, if it has one.
func (c *runningSubject) limit() (err error) {
	if c.subject.quota == 0 {
		return nil
	}
	if c.group, err = newControlGroup(controlGroups, c.subject.quota); err != nil {
		return err
	}
	return c.group.add(c.process.command.Process.Pid)
}

// launchTwin starts the second process of a subject that has one, with files of its own, and
// returns its port.
func (a *testbed) launchTwin(c *runningSubject, port int) (ports []int, err error) {
	if c.subject.twin == nil {
		return nil, nil
	}
	twin := &runningSubject{subject: c.subject, subjectConfig: c.subjectConfig, traffic: c.traffic, text: c.text}
	twin.subject.command = c.subject.twin
	twin.subjectConfig.port, twin.subjectConfig.dir = port, filepath.Join(c.subjectConfig.dir, "twin")
	c.twin = twin
	if err := os.Mkdir(twin.subjectConfig.dir, 0o700); err != nil {
		return nil, err
	}
	cores := a.cores[1:2]
	if c.subject.quota > 0 {
		cores = a.cores[:1] // which has capacity for both; the load has the other one to itself
	}
	return []int{port}, a.launch(twin, cores)
}

// failureOr returns the failure of a process that has ended, else err.
func (c *runningSubject) failureOr(err error) error {
	if c.twin != nil {
		err = c.twin.process.failureOr(err)
	}
	return c.process.failureOr(err)
}

// sharesCores reports whether the subject also runs on the core of the load.
func (c *runningSubject) sharesCores(cores []int) bool {
	return c.twin != nil && c.subject.quota == 0 || c.subject.cores == len(cores)
}

// startCompanions starts the programs that the subject needs. The subject waits until they are ready.
func (c *runningSubject) startCompanions(cores []int) error {
	if c.subject.companions == nil {
		return nil
	}
	commands, err := c.subject.companions(&c.subjectConfig)
	for _, command := range commands {
		started, err := startProcess(command, cores)
		if err != nil {
			return fmt.Errorf("start: %w", err)
		}
		c.companions = append(c.companions, started)
	}
	return err
}

// awaitReady waits until the subject responds with 2xx, or accepts connections.
func (a *testbed) awaitReady(c *runningSubject) error {
	const timeout = 30 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		for ctx.Err() == nil && !c.process.ended() && !c.healthy(ctx) {
			time.Sleep(time.Millisecond)
		}
	}()
	err := a.loop.run(2*timeout, func(time.Time) bool {
		select {
		case <-ready:
			return true
		default:
			return false
		}
	})
	switch {
	case err != nil:
		return err
	case c.process.ended() && c.subject.verify != nil:
		return unavailable{c.process.failure().Error()}
	case c.process.ended():
		return c.process.failure()
	case ctx.Err() != nil:
		return fmt.Errorf("not ready after %v: %s", timeout, c.process.output)
	}
	return nil
}

func (c *runningSubject) healthy(ctx context.Context) bool {
	if c.subject.stream {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", c.subjectConfig.inputPort))
		return err == nil && conn.Close() == nil
	}
	address := fmt.Sprintf("http://127.0.0.1:%d", c.subjectConfig.port)
	if c.subject.secure {
		address = strings.Replace(address, "http", "https", 1)
	}
	path := "/health"
	if c.subject.ours {
		path = "/readyz" // with streams it is healthy before it can accept packets
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+path, nil)
	if c.traffic.OTLP {
		// The collector has no health endpoint but accepts a request without
		// logs.
		request, err = http.NewRequestWithContext(ctx, http.MethodPost, address+c.traffic.path(), strings.NewReader("{}"))
	}
	if err != nil {
		return false
	}
	request.Close = true
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Transport{TLSClientConfig: c.tls()}).RoundTrip(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode/100 == 2
}

// tls returns the load's TLS configuration, nil without TLS: it verifies nothing, since both ends
// are here.
func (c *runningSubject) tls() *tls.Config {
	if !c.subject.secure {
		return nil
	}
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
}

// usage holds the resource usage up to a moment.
type usage struct {
	subject, load time.Duration
	cores         time.Duration // busy time of all used cores
	resident      int64
}

func (c *runningSubject) usage(cores []int) (usage, error) {
	var now usage
	var failed [5]error
	pid := c.process.command.Process.Pid
	now.subject, failed[0] = processorTime(pid)
	now.load, failed[1] = processorTime(syscall.Getpid())
	now.resident, failed[2] = residentPeak(pid)
	now.cores, failed[3] = busyTime(cores[:2])
	if c.twin != nil {
		twin, err := c.twin.usage(cores)
		now.subject, now.resident, failed[4] = now.subject+twin.subject, now.resident+twin.resident, err
	}
	return now, errors.Join(failed[:]...)
}

// close stops the subject and removes its files.
func (c *runningSubject) close(l *loop) {
	if c.load != nil {
		c.load.close()
	}
	if c.twin != nil {
		c.twin.close(l)
	}
	if c.process != nil {
		c.process.stop(l)
	}
	if c.group != "" {
		if err := c.group.remove(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
	for _, one := range c.companions {
		one.stop(l)
	}
	_ = os.RemoveAll(c.subjectConfig.dir)
}
