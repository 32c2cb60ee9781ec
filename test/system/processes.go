package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/logstreamer/logstreamer/test/ports"
)

// processes is a deployment of processes on loopback.
type processes struct {
	dir         string
	binary      string
	running     map[string]*exec.Cmd
	ports       map[string]int
	distributor string
}

func newProcesses() (*processes, error) {
	dir, err := os.MkdirTemp("", "logstreamer-test-")
	if err != nil {
		return nil, err
	}
	p := &processes{
		dir: dir, binary: filepath.Join(dir, "logstreamer"), distributor: "distributor",
		running: make(map[string]*exec.Cmd), ports: make(map[string]int),
	}
	names := append([]string{"ingest", "metrics"}, names...)
	free, err := ports.Free(len(names))
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		p.ports[name] = free[i]
	}
	return p, nil
}

func (p *processes) up(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", p.binary, "./cmd/logstreamer")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	var analyzers []string
	for _, name := range names {
		if err := p.start(ctx, name); err != nil {
			return err
		}
		analyzers = append(analyzers, fmt.Sprintf("%s=%g", p.analyzer(name), shares[name]))
	}
	return p.spawn(ctx, p.distributor,
		"ANALYZERS="+strings.Join(analyzers, ","),
		fmt.Sprintf("PORT=%d", p.ports["ingest"]),
		fmt.Sprintf("METRICS_ADDR=127.0.0.1:%d", p.ports["metrics"]),
		"ADMIN_ADDR=127.0.0.1:0",
		"DATA_DIR="+filepath.Join(p.dir, "data"),
		"HEALTH_CHECK_INTERVAL_SEC=1", "SLOW_START_SEC=3")
}

// spawn starts a role and waits until it responds.
func (p *processes) spawn(ctx context.Context, role string, env ...string) error {
	command := strings.SplitN(role, "-", 2)[0]
	log, err := os.Create(filepath.Join(p.dir, role+".log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the process has its own handle
	cmd := exec.Command(p.binary, command)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	p.running[role] = cmd
	url := p.ingest() + "/livez"
	if command == "analyzer" {
		url = p.analyzer(role) + "/health"
	}
	return until(ctx, role+" answers", func() bool { return status(ctx, url) == 200 })
}

func (p *processes) kill(_ context.Context, analyzer string) error {
	cmd := p.running[analyzer]
	if err := cmd.Process.Kill(); err != nil {
		return err
	}
	_ = cmd.Wait() // reports the kill
	delete(p.running, analyzer)
	return nil
}

func (p *processes) start(ctx context.Context, analyzer string) error {
	return p.spawn(ctx, analyzer, fmt.Sprintf("PORT=%d", p.ports[analyzer]), "ANALYZER_ID="+analyzer)
}

func (p *processes) stopDistributor(context.Context) error {
	cmd := p.running[p.distributor]
	delete(p.running, p.distributor)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return cmd.Wait()
}

func (p *processes) down() {
	for _, cmd := range p.running {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	_ = os.RemoveAll(p.dir)
}

func (p *processes) ingest() string  { return fmt.Sprintf("http://127.0.0.1:%d", p.ports["ingest"]) }
func (p *processes) metrics() string { return fmt.Sprintf("http://127.0.0.1:%d", p.ports["metrics"]) }
func (p *processes) analyzer(name string) string {
	return fmt.Sprintf("http://127.0.0.1:%d", p.ports[name])
}

var errTimeout = errors.New("timed out")

// timeout is how long a condition may take to hold, on a busy machine, too.
const timeout = time.Minute

// until polls for a condition until timeout.
func until(ctx context.Context, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (%v)", what, errTimeout, timeout)
		case <-ticker.C:
		}
	}
	return nil
}
