package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// child is another process of the demo. It ends with the demo.
type child struct {
	name    string
	command *exec.Cmd
	ended   chan struct{}
	log     string
}

// startChild starts a process whose output goes to a file of the directory. It gets none of
// this process's environment, which may have settings of another distributor.
func startChild(name, dir string, environment []string, program string, arguments ...string) (*child, error) {
	c := &child{name: name, log: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has its own
	c.command = exec.Command(program, arguments...)
	c.command.Env, c.command.Dir = append([]string{}, environment...), dir
	c.command.Stdout, c.command.Stderr = log, log
	c.command.SysProcAttr = detached()
	if err := c.command.Start(); err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w", name, err)
	}
	go func() {
		_ = c.command.Wait() // how it ended is in ProcessState
		close(c.ended)
	}()
	return c, nil
}

func (c *child) pid() int { return c.command.Process.Pid }

// isRunning reports whether it has not ended.
func (c *child) isRunning() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// kill ends it with SIGKILL.
func (c *child) kill() {
	_ = c.command.Process.Kill() // it may have ended
	<-c.ended
}

// stop ends it in order, or with SIGKILL when ctx is done first.
func (c *child) stop(ctx context.Context) {
	if c.command.Process.Signal(os.Interrupt) == nil { // there is no such signal on Windows
		select {
		case <-c.ended:
		case <-ctx.Done():
		}
	}
	c.kill()
}

// await calls ready until it reports true.
func (c *child) await(ctx context.Context, ready func(context.Context) bool) error {
	const timeout, interval = 20 * time.Second, 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for !ready(ctx) {
		select {
		case <-ticker.C:
		case <-c.ended:
			return c.failure("has ended")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), c.failure("is not ready"))
		}
	}
	return nil
}

// failure returns an error with the end of what the process said.
func (c *child) failure(what string) error {
	const tail = 2000
	said, err := os.ReadFile(c.log)
	if err != nil {
		return fmt.Errorf("%s %s: %w", c.name, what, err)
	}
	return fmt.Errorf("%s %s:\n%s", c.name, what, said[max(0, len(said)-tail):])
}
