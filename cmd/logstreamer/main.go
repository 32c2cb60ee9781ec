// Command logstreamer is the log distributor, with an analyzer and an emitter,
// in one binary.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/upgrade"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	ignored := signal.Ignored(os.Interrupt)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go stopOnSignal(signals, stop, func() { endBySignal(signals, ignored) })
	p := process{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.LookupEnv, environ: os.Environ, args: os.Args}
	p.inherited, p.notInherited = upgrade.Inherit(listenerNames()...)
	os.Exit(run(ctx, os.Args[1:], p))
}

// process holds the process state that commands may use.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) (string, bool)
	environ        func() []string
	names          map[string]bool // environment names of all commands' settings
	usage          *bytes.Buffer   // output of package flag
	args           []string        // all of them, with the program
	inherited      *upgrade.Inheritance
	notInherited   error // why something cannot be inherited
}

// usageError is an invalid command line or configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run runs the command named by the arguments and returns the exit code.
func run(ctx context.Context, args []string, p process) int {
	p.usage, p.names = new(bytes.Buffer), make(map[string]bool)
	root := commands(p)
	args = normalizeArgs(args)
	if err := root.Parse(args); errors.Is(err, flag.ErrHelp) {
		_, _ = p.usage.WriteTo(p.stdout)
		return exitOK
	} else if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause
		}
		_, _ = fmt.Fprintln(p.stderr, "logstreamer:", flagError(err, selected(root, args).FlagSet))
		p.fallBack(err)
		return exitUsage
	}
	err := root.Run(ctx)
	var usage usageError
	var exit exitError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp): // no command given
		_, _ = p.usage.WriteTo(p.stderr)
		return exitUsage
	}
	_, _ = fmt.Fprintln(p.stderr, "logstreamer:", err)
	p.fallBack(err)
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &exit):
		return exit.code
	}
	return exitFailed
}

func commands(p process) *ffcli.Command {
	root := &ffcli.Command{
		Name:       "logstreamer",
		ShortUsage: "logstreamer <command> [flags]",
		LongHelp:   "Routes packets of log messages to analyzers, so that each gets its share of messages.\nBegin with: logstreamer demo",
		FlagSet:    newFlagSet("logstreamer", p),
		UsageFunc:  func(c *ffcli.Command) string { return commandUsage(c, "logstreamer") },
		Subcommands: []*ffcli.Command{
			demoCommand(p),
			distributorCommand(p),
			analyzerCommand(p),
			emitterCommand(p),
			checkCommand(p),
			simulateCommand(p),
			journalCommand(p),
			ctlCommand(p),
			topCommand(p),
			tokenCommand(p),
			healthcheckCommand(p),
			completionCommand(p),
			versionCommand(p),
		},
	}
	root.Exec = requireSubcommand("logstreamer", namesOf(root.Subcommands)...)
	return root
}

func namesOf(commands []*ffcli.Command) []string {
	names := []string{"help"}
	for _, c := range commands {
		names = append(names, c.Name)
	}
	return names
}

// normalizeArgs replaces the alternative spellings of help and version: help,
// help COMMAND, -version.
func normalizeArgs(args []string) []string {
	if len(args) == 0 {
		return args
	}
	switch args[0] {
	case "help":
		if len(args) == 1 {
			return []string{"-h"}
		}
		if normalized := normalizeArgs(args[1:]); slices.Contains(normalized, "-h") {
			return normalized
		}
		return append(args[1:len(args):len(args)], "-h")
	case "-version", "--version":
		return append([]string{"version"}, args[1:]...)
	default:
		return args
	}
}

// requireSubcommand returns the Exec of a command that needs a known
// subcommand.
func requireSubcommand(command string, known ...string) func(context.Context, []string) error {
	return func(_ context.Context, args []string) error {
		if len(args) > 0 {
			if intended, ok := config.ClosestMatch(args[0], known); ok {
				return usageError{fmt.Errorf("there is no command %q; did you mean %s? See %s -h", args[0], intended, command)}
			}
			return usageError{fmt.Errorf("there is no command %q; see %s -h", args[0], command)}
		}
		return flag.ErrHelp
	}
}

func newFlagSet(name string, p process) *flag.FlagSet {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(p.usage)
	return set
}
