package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/logging"
)

// newLoader returns a loader of a command's configuration.
func newLoader[T any](p process, defaults T) *config.Loader[T] {
	loader := config.New(defaults, p.getenv)
	for _, s := range loader.Settings {
		p.names[s.Env] = true
	}
	return loader
}

// newCommand completes a command: it loads its configuration and runs.
func newCommand[T any](p process, c ffcli.Command, loader *config.Loader[T], run func(context.Context, *config.Loaded[T]) error) *ffcli.Command {
	if c.FlagSet == nil {
		c.FlagSet = newFlagSet(c.Name, p)
	}
	loader.AddFlags(c.FlagSet)
	c.UsageFunc = func(c *ffcli.Command) string { return usage(c, loader.Settings) }
	c.Exec = func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("unexpected argument %q", args[0])}
		}
		loaded, err := loader.Load()
		if err != nil {
			return usageError{withMistypedVariables(p, loader, err)}
		}
		return run(ctx, loaded)
	}
	return &c
}

// withMistypedVariables appends a line for each mistyped variable, which may be why a setting is
// missing or wrong.
func withMistypedVariables[T any](p process, loader *config.Loader[T], err error) error {
	for _, warning := range loader.MistypedVariables(p.environ(), p.names) {
		err = errors.Join(err, errors.New(warning))
	}
	return err
}

// addConfigFlag declares -config.
func addConfigFlag[T any](c *ffcli.Command, loader *config.Loader[T]) {
	c.FlagSet.StringVar(&loader.File, "config", "", "YAML file with these settings by their environment names in lower case")
}

// role is the configuration of a role.
type role interface{ Validate() error }

// service is the configuration of a role that runs until it is stopped, with a log.
type service[T role] struct {
	Role T
	Log  logging.Config
}

func (s service[T]) Validate() error { return s.Role.Validate() }

// newService is newCommand for a service.
func newService[T role](p process, c ffcli.Command, loader *config.Loader[service[T]], run func(context.Context, *config.Loaded[service[T]], *slog.Logger) error) *ffcli.Command {
	return newCommand(p, c, loader, func(ctx context.Context, loaded *config.Loaded[service[T]]) error {
		diagnostics := newDiagnostics(p, loader, loaded, loaded.Config.Log)
		defer ignoreHangups(diagnostics)()
		return run(ctx, loaded, slog.New(logging.New(p.stderr, loaded.Config.Log)))
	})
}

// newDiagnostics returns the logger of the command itself, after a warning for each
// mistyped variable. It logs warnings even where the default level is error, as in the demo.
func newDiagnostics[T any](p process, loader *config.Loader[T], loaded *config.Loaded[T], log logging.Config) *slog.Logger {
	if log.Level == "error" && loaded.Origin("log_level") == (config.Origin{}) {
		log.Level = "warn"
	}
	logger := slog.New(logging.New(p.stderr, log))
	for _, warning := range loader.MistypedVariables(p.environ(), p.names) {
		logger.Warn(warning)
	}
	return logger
}
