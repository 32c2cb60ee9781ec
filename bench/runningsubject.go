//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
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
	folder, err := os.MkdirTemp(a.folder, "subject-")
	if err != nil {
		return nil, err
	}
	free, err := ports.Free(2)
	if err != nil {
		return nil, err
	}
	shape := e.traffic
	if s.traffic != nil {
		shape = *s.traffic
	}
	c := &runningSubject{subject: s, traffic: shape, text: newPacketText(shape), subjectConfig: subjectConfig{
		port: free[0], analyzers: analyzers, connections: e.connections, folder: folder, distributor: a.distributor, inputs: "http",
	}}
	loadPort := free[0]
	if f := shape.Records; f != nil {
		c.subjectConfig.scheme = f.scheme
		if f.input != "" {
			loadPort = free[1]
			c.subjectConfig.inputs += fmt.Sprintf(",%s=127.0.0.1:%d", f.input, loadPort)
		}
	}
	if s.secure {
		if c.subjectConfig.files, err = writeCertificate(folder); err != nil {
			return c, err
		}
	}
	if err := c.startCompanions(a.cores); err != nil {
		return c, err
	}
	if err := a.launch(c); err != nil {
		return c, err
	}
	c.load, err = newLoad(a.loop, a.ledger, loadPort, e.connections, c.tls(), func() *request { return newRequest(shape, c.text) })
	return c, err
}

// launch starts the subject's process, and measures how long that takes and the memory it has then.
func (a *testbed) launch(c *runningSubject) error {
	command, err := c.subject.command(c.subjectConfig)
	if err != nil {
		return err
	}
	began := time.Now()
	if c.process, err = startProcess(command, a.cores[:c.subject.cores]); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if err := a.awaitReady(c); err != nil {
		return err
	}
	c.start = time.Since(began)
	c.idle, err = anonymousMemory(c.process.command.Process.Pid)
	return err
}

// startCompanions starts the programs that the subject needs. It waits for them itself.
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

// awaitReady waits until the subject responds with 2xx.
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

// tls returns how the load speaks TLS: it verifies nothing, since both ends are here; nil
// without TLS.
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
	var failed [4]error
	pid := c.process.command.Process.Pid
	now.subject, failed[0] = processorTime(pid)
	now.load, failed[1] = processorTime(syscall.Getpid())
	now.resident, failed[2] = residentPeak(pid)
	now.cores, failed[3] = busyTime(cores[:2])
	return now, errors.Join(failed[:]...)
}

// close stops the subject and removes its files.
func (c *runningSubject) close(l *loop) {
	if c.load != nil {
		c.load.close()
	}
	if c.process != nil {
		c.process.stop(l)
	}
	for _, one := range c.companions {
		one.stop(l)
	}
	_ = os.RemoveAll(c.subjectConfig.folder)
}
