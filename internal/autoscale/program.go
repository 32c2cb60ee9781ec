package autoscale

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// maxOutput bounds what is kept of the output of a program, in bytes: the end of it.
const maxOutput = 2 << 10

// outputGrace is for how long output is waited for after the end of the program, if another
// process has it open.
const outputGrace = time.Second

// Program starts and stops analyzers with the command of the configuration.
type Program struct {
	// Env is its environment.
	Env []string
}

// Scale runs the command for a decision, within the cooldown, and returns the end of its output.
// No shell reads the command. When the time is over, or ctx ends, it is killed with all that it
// has started in its process group. Scale may be called concurrently.
func (p Program) Scale(ctx context.Context, d Decision) (output string, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.Config.Cooldown)
	defer cancel()
	words := d.arguments()
	var kept tail
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Env, command.Stdout, command.Stderr, command.WaitDelay = p.Env, &kept, &kept, outputGrace
	inGroup(command)
	err = command.Run()
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		err = fmt.Errorf("it was killed after %v (AUTOSCALE_COOLDOWN_SEC)", d.Config.Cooldown)
	case errors.Is(err, exec.ErrWaitDelay): // an analyzer that it started has the output open
		err = nil
	}
	return kept.String(), err
}

// arguments returns the words of the command for a decision.
func (d Decision) arguments() []string {
	values := strings.NewReplacer("{desired}", strconv.Itoa(d.Desired), "{current}", strconv.Itoa(d.Current), "{group}", d.Group)
	words := strings.Fields(d.Config.Command)
	for i := range words {
		words[i] = values.Replace(words[i])
	}
	return words
}

// tail keeps the end of what is written. It must not be used concurrently.
type tail struct{ kept []byte }

// Write implements io.Writer.
func (t *tail) Write(text []byte) (int, error) {
	t.kept = append(t.kept, text[max(0, len(text)-maxOutput):]...)
	if surplus := len(t.kept) - maxOutput; surplus > 0 {
		t.kept = append(t.kept[:0], t.kept[surplus:]...)
	}
	return len(text), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(strings.TrimSpace(string(t.kept)), "�") }
