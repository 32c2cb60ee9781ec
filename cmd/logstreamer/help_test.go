package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// invoke runs a command as main does, with an empty environment.
func invoke(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return invokeWith(t, nil, args...)
}

// invokeWith runs a command as main does, with that environment.
func invokeWith(t *testing.T, environment map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	getenv := func(name string) (string, bool) {
		text, ok := environment[name]
		return text, ok
	}
	code = run(context.Background(), args, process{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs,
		getenv:  getenv,
		environ: func() []string { return nil },
	})
	return code, out.String(), errs.String()
}

// The help of every command goes to standard output and has no backticks, which
// package flag interprets as the name of a flag's value.
func TestHelpOfEveryCommand(t *testing.T) {
	var visit func(command []string, c *ffcli.Command)
	visit = func(command []string, c *ffcli.Command) {
		for _, args := range [][]string{
			append(command[:len(command):len(command)], "-h"), append(command[:len(command):len(command)], "--help"), append([]string{"help"}, command...),
		} {
			code, out, errs := invoke(t, args...)
			if code != exitOK || errs != "" || !strings.Contains(out, "Usage: logstreamer") {
				t.Errorf("%v: %d, %q, %q", args, code, out, errs)
			}
			if strings.Contains(out, "`") {
				t.Errorf("%v: a backtick in\n%s", args, out)
			}
		}
		for _, sub := range c.Subcommands {
			visit(append(command[:len(command):len(command)], sub.Name), sub)
		}
	}
	visit(nil, commands(process{usage: new(bytes.Buffer), names: make(map[string]bool)}))
}
