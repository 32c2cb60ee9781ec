package main

import (
	"context"
	"errors"
	"flag"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/adminclient"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/ctl"
	"github.com/logstreamer/logstreamer/internal/printable"
)

// exitError is an error with an exit code of its own. Its text may come from others, and is
// safe to show.
type exitError struct {
	err  error
	code int
}

func (e exitError) Error() string { return printable.String(e.err.Error()) }

func (e exitError) Unwrap() error { return e.err }

// newAdminLoader returns a loader of where the admin API is.
func newAdminLoader(p process) *config.Loader[adminclient.Config] {
	return newLoader(p, adminclient.DefaultConfig())
}

// newAdminClient returns the client of the configured admin API.
func newAdminClient(p process, loader *config.Loader[adminclient.Config]) (*adminclient.Client, error) {
	loaded, err := loader.Load()
	if err != nil {
		return nil, usageError{err}
	}
	if loaded.Config.TokenFile == "" {
		loaded.Config.Token, _ = p.getenv("ADMIN_TOKEN")
	}
	client, err := adminclient.New(loaded.Config)
	if err != nil {
		return nil, usageError{err}
	}
	return client, nil
}

// ctlCommand operates a distributor through its admin API.
func ctlCommand(p process) *ffcli.Command {
	loader := newAdminLoader(p)
	commands := ctlCommands(p, loader)
	c := &ffcli.Command{
		Name:       "ctl",
		ShortUsage: "logstreamer ctl [-admin URL] [-token-file FILE] <command> [arguments] [flags]",
		ShortHelp:  "operate a running distributor through its admin API",
		LongHelp: "Operates a running distributor through its admin API, at -admin or ADMIN_URL. Flags may follow arguments.\n" +
			"The bearer token is that of -token-file, else the environment's ADMIN_TOKEN; it is no flag, as others can read those.\n" + ctl.ExitCodes,
		FlagSet:   newFlagSet("ctl", p),
		UsageFunc: func(c *ffcli.Command) string { return commandUsage(c, "logstreamer ctl") },
	}
	loader.AddFlags(c.FlagSet)
	for _, one := range commands {
		c.Subcommands = append(c.Subcommands, newCtlCommand(p, loader, "logstreamer ctl", one))
	}
	c.Exec = requireSubcommand("logstreamer ctl", namesOf(c.Subcommands)...)
	return c
}

func ctlCommands(p process, loader *config.Loader[adminclient.Config]) []ctl.Command {
	return ctl.Commands(ctl.Dependencies{
		Client: func() (*adminclient.Client, error) { return newAdminClient(p, loader) },
		Stdin:  p.stdin, Stdout: p.stdout, Stderr: p.stderr,
	})
}

func newCtlCommand(p process, loader *config.Loader[adminclient.Config], parent string, one ctl.Command) *ffcli.Command {
	name := parent + " " + one.Name
	c := &ffcli.Command{
		Name: one.Name, ShortHelp: one.Help, LongHelp: sentence(one.Help), FlagSet: newFlagSet(one.Name, p), ShortUsage: name + " <command>",
		UsageFunc: func(c *ffcli.Command) string { return commandUsage(c, name) },
	}
	loader.AddFlags(c.FlagSet)
	for _, sub := range one.Subcommands {
		c.Subcommands = append(c.Subcommands, newCtlCommand(p, loader, name, sub))
	}
	if one.Run == nil {
		c.Exec = requireSubcommand(name, namesOf(c.Subcommands)...)
		return c
	}
	if c.ShortUsage = name; one.Args != "" {
		c.ShortUsage += " " + one.Args
	}
	c.ShortUsage += " [flags]"
	c.UsageFunc = func(c *ffcli.Command) string { return usage(c, loader.Settings) + "\n" + ctl.ExitCodes }
	one.Declare(c.FlagSet)
	c.Exec = func(ctx context.Context, args []string) error {
		args, err := ctl.ParseInterspersed(c.FlagSet, args)
		if errors.Is(err, flag.ErrHelp) {
			_, err = p.usage.WriteTo(p.stdout)
			return err
		}
		if err != nil {
			return usageError{flagError(err, c.FlagSet)}
		}
		if err = one.Run(ctx, args); err == nil {
			return nil
		}
		var invalid usageError
		if errors.As(err, &invalid) {
			return err
		}
		return exitError{err, ctl.ExitCode(err)}
	}
	return c
}
