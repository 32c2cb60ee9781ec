package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/ctl"
	"github.com/logstreamer/logstreamer/internal/top"
)

// topCommand shows a running distributor in the terminal.
func topCommand(p process) *ffcli.Command {
	loader := newAdminLoader(p)
	c := &ffcli.Command{
		Name:       "top",
		ShortUsage: "logstreamer top [-admin URL] [-token-file FILE] [-once] [-json]",
		ShortHelp:  "watch a running distributor in the terminal, and operate it with keys",
		FlagSet:    newFlagSet("top", p),
		UsageFunc:  func(c *ffcli.Command) string { return usage(c, loader.Settings) + "\n" + ctl.ExitCodes },
	}
	loader.AddFlags(c.FlagSet)
	var options top.Options
	declareTop(c.FlagSet, &options)
	c.Exec = func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("unexpected argument %q", args[0])}
		}
		client, err := newAdminClient(p, loader)
		if err != nil {
			return err
		}
		defer client.Close()
		options.In, options.Out, options.Err, options.Environ = p.stdin, p.stdout, p.stderr, p.environ()
		options.Terminal = p.isRewritable()
		if err := top.Run(ctx, client, options); err != nil {
			return exitError{err, ctl.ExitCode(err)}
		}
		return nil
	}
	return c
}

func declareTop(set *flag.FlagSet, options *top.Options) {
	set.BoolVar(&options.Once, "once", false, "print the present state and exit")
	set.BoolVar(&options.JSON, "json", false, "print one JSON object a second")
}
