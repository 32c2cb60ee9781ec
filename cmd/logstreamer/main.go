// Command logstreamer is the log distributor, with an analyzer and an emitter
// to go with it, in one binary.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// version is set at release: -ldflags "-X main.version=…".
var version = "dev"

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	// The first signal ends the context, which stops everything in order; once
	// it has, signals have their default effect again, so a second one exits
	// at once.
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore)
	os.Exit(run(ctx, os.Args[1:], process{os.Stdin, os.Stdout, os.Stderr, os.LookupEnv}))
}

// process is what a command may use of the process that it runs in.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) (string, bool)
}

// usageError is a wrong command line or configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func run(ctx context.Context, args []string, p process) int {
	root := commands(p)
	if err := root.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitDone
		}
		_, _ = fmt.Fprintln(p.stderr, "logstreamer:", err)
		return exitUsage
	}
	err := root.Run(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, flag.ErrHelp):
		return exitUsage
	case errors.As(err, &usage):
		_, _ = fmt.Fprintln(p.stderr, "logstreamer:", err)
		return exitUsage
	default:
		_, _ = fmt.Fprintln(p.stderr, "logstreamer:", err)
		return exitFailed
	}
}

func commands(p process) *ffcli.Command {
	root := &ffcli.Command{
		Name:       "logstreamer",
		ShortUsage: "logstreamer <command> [flags]",
		LongHelp:   "Routes packets of log messages to analyzers, so that each gets its share of messages.",
		FlagSet:    newFlagSet("logstreamer", p),
		Subcommands: []*ffcli.Command{
			demoCommand(p),
			distributorCommand(p),
			analyzerCommand(p),
			emitterCommand(p),
			checkCommand(p),
			versionCommand(p),
		},
	}
	root.Exec = func(_ context.Context, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("there is no command %q; see logstreamer -h", args[0])}
		}
		_, _ = fmt.Fprintln(p.stderr, root.UsageFunc(root))
		return flag.ErrHelp
	}
	root.UsageFunc = ffcli.DefaultUsageFunc
	return root
}

func newFlagSet(name string, p process) *flag.FlagSet {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(p.stderr)
	return set
}

// noArguments refuses what is left of the command line.
func noArguments(args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}
