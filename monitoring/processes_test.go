package monitoring_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/ports"
)

// process is a program that runs until it is killed or the test ends.
type process struct {
	name    string
	command *exec.Cmd
	ended   bool
}

// startProcess runs a program in an empty directory with only the given
// environment. Its output is logged when the test fails.
func startProcess(t *testing.T, name string, environment []string, command ...string) *process {
	t.Helper()
	dir := t.TempDir()
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: name, command: exec.Command(command[0], command[1:]...)}
	p.command.Dir, p.command.Env = dir, environment
	p.command.Stdout, p.command.Stderr = output, output
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		output.Close()
		if written, err := os.ReadFile(output.Name()); err == nil && t.Failed() {
			t.Logf("%s wrote:\n%s", name, written[max(0, len(written)-4096):])
		}
	})
	return p
}

// kill sends SIGKILL.
func (p *process) kill() {
	if p.ended {
		return
	}
	p.ended = true
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}

// freeAddresses returns loopback addresses whose ports were free recently.
func freeAddresses(t *testing.T, count int) []string {
	t.Helper()
	free, err := ports.Free(count)
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, port := range free {
		addresses = append(addresses, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	return addresses
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// waitFor polls until there is no error, and fails the test after a minute.
func waitFor(t *testing.T, what string, poll func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for {
		err := poll()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("timed out waiting for %s: %v", what, err)
		case <-pause.C:
		}
	}
}

// waitUntilReady waits for a 2xx response.
func waitUntilReady(t *testing.T, url string) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	waitFor(t, url, func() error {
		response, err := client.Get(url)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode/100 != 2 {
			return fmt.Errorf("answered %s", response.Status)
		}
		return nil
	})
}
