// Package ctl implements the commands that operate a distributor through its admin API. A command
// runs in one goroutine and keeps no state after it.
package ctl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// Command is a command, or a group of commands.
type Command struct {
	Name, Help string
	// Args names the arguments, for the usage.
	Args string
	// Declare declares the flags.
	Declare func(*flag.FlagSet)
	// Run runs the command with its arguments; nil if it needs a subcommand.
	Run func(ctx context.Context, args []string) error
	// Complete returns what the next argument may be; it may query the server.
	Complete    func(ctx context.Context, args []string) []string
	Subcommands []Command
}

// Dependencies are what commands use.
type Dependencies struct {
	// Client returns the client of the configured admin API.
	Client func() (*adminclient.Client, error)
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// Commands returns the commands of `logstreamer ctl`.
func Commands(deps Dependencies) []Command {
	var commands []Command
	for _, s := range specs() {
		commands = append(commands, s.command(deps))
	}
	return commands
}

// spec declares a command.
type spec struct {
	name, help string
	args       []argument
	flags      []string // names of flagCatalog
	run        func(context.Context, *call) error
	sub        []spec
}

// argument is an argument of a command.
type argument struct {
	name     string // in the usage; […] is optional, … at the end repeats
	complete func(context.Context, *adminclient.Client) []string
}

func (a argument) optional() bool { return strings.HasPrefix(a.name, "[") }

func (a argument) repeats() bool { return strings.HasSuffix(strings.TrimSuffix(a.name, "]"), "…") }

// call is one invocation of a command.
type call struct {
	client *adminclient.Client
	out    printer
	stdin  io.Reader
	stderr io.Writer
	args   []string
	flags
}

func (s spec) command(deps Dependencies) Command {
	c := Command{Name: s.name, Help: s.help, Args: s.usage()}
	for _, sub := range s.sub {
		c.Subcommands = append(c.Subcommands, sub.command(deps))
	}
	if s.run == nil {
		return c
	}
	given := &flags{}
	c.Declare = func(set *flag.FlagSet) { given.declare(set, s.flags) }
	c.Run = func(ctx context.Context, args []string) error {
		if err := s.check(args); err != nil {
			return err
		}
		client, err := deps.Client()
		if err != nil {
			return err
		}
		defer client.Close()
		call := &call{client: client, out: printer{w: deps.Stdout}, stdin: deps.Stdin, stderr: deps.Stderr, args: args, flags: *given}
		return errors.Join(s.run(ctx, call), call.out.err)
	}
	c.Complete = func(ctx context.Context, args []string) []string { return s.complete(ctx, deps, args) }
	return c
}

func (s spec) usage() string {
	var names []string
	for _, a := range s.args {
		names = append(names, a.name)
	}
	return strings.Join(names, " ")
}

// check returns an error unless the number of arguments is right.
func (s spec) check(args []string) error {
	least, most := 0, len(s.args)
	for _, a := range s.args {
		if !a.optional() {
			least++
		}
		if a.repeats() {
			most = len(args)
		}
	}
	switch {
	case len(args) < least:
		return UsageError{fmt.Errorf("%s needs %s", s.name, s.usage())}
	case len(args) > most:
		return UsageError{fmt.Errorf("unexpected argument %q", args[most])}
	}
	return nil
}

// completionTimeout bounds a completion by the tab key.
const completionTimeout = time.Second

func (s spec) complete(ctx context.Context, deps Dependencies, args []string) []string {
	position := len(args)
	if n := len(s.args); n > 0 && position >= n && s.args[n-1].repeats() {
		position = n - 1
	}
	if position >= len(s.args) || s.args[position].complete == nil {
		return nil
	}
	client, err := deps.Client()
	if err != nil {
		return nil
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	return s.args[position].complete(ctx, client)
}
