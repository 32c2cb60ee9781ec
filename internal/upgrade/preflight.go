package upgrade

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

const (
	// preflightTimeout bounds one run of the new binary.
	preflightTimeout = 20 * time.Second
	// maxOutput is how many bytes of its output an error has.
	maxOutput = 4 << 10
)

// Passed is the last line that a binary prints whose preflight has passed. Without it a
// program that only exits with 0 would be taken for a version of this one.
const Passed = "preflight: passed"

// PreflightError is why a new binary is not executed.
type PreflightError struct {
	Command string // what was run
	Reason  error
	Output  string // its end
}

func (e *PreflightError) Error() string {
	return fmt.Sprintf("%s: %v; output: %q", e.Command, e.Reason, e.Output)
}

// Unwrap returns the reason.
func (e *PreflightError) Unwrap() error { return e.Reason }

// Preflight runs the new binary twice, with the arguments and the environment of this
// process: `check -preflight`, and the service as a trial, which ends where a start would
// begin to take resources.
func (u *Upgrader) Preflight(ctx context.Context, service string) error {
	if err := u.run(ctx, os.Environ(), "check", "-preflight"); err != nil {
		return err
	}
	return u.run(ctx, append(os.Environ(), stateVariable+"="+trial), service)
}

func (u *Upgrader) run(ctx context.Context, environ []string, command ...string) error {
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, u.program, slices.Concat(command, u.args)...)
	c.Env = environ
	c.WaitDelay = time.Second // for processes of a script that keep the output open
	var out tail
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("it did not end within %v: %w", preflightTimeout, ctx.Err())
	case err == nil && !out.endsWith(Passed):
		err = fmt.Errorf("it does not print %q: it is no logstreamer that can take over", Passed)
	}
	if err == nil {
		return nil
	}
	return &PreflightError{Command: strings.Join(append([]string{u.program}, command...), " "), Reason: err, Output: string(out.text)}
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p[max(0, len(p)-maxOutput):]...)
	t.text = t.text[max(0, len(t.text)-maxOutput):]
	return len(p), nil
}

func (t *tail) endsWith(line string) bool {
	text := bytes.TrimRight(t.text, "\r\n")
	return string(text[bytes.LastIndexByte(text, '\n')+1:]) == line
}
