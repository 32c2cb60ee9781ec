package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/emitter"
	"github.com/logstreamer/logstreamer/internal/logging"
)

func newEmitterLoader(p process) *config.Loader[service[emitter.Config]] {
	return newLoader(p, service[emitter.Config]{emitter.DefaultConfig(), logging.DefaultConfig()})
}

func emitterCommand(p process) *ffcli.Command {
	return newService(p, ffcli.Command{
		Name:       "emitter",
		ShortUsage: "logstreamer emitter [flags]",
		ShortHelp:  "send generated messages or a real log file",
	}, newEmitterLoader(p), func(ctx context.Context, loaded *config.Loaded[service[emitter.Config]], logger *slog.Logger) error {
		e, err := emitter.New(loaded.Config.Role, emitter.Dependencies{
			Logger: logger, Out: p.stdout, Terminal: p.isRewritable(), Stdin: p.stdin,
		})
		if err != nil {
			return err
		}
		report, err := e.Run(ctx)
		return errors.Join(err, report.Unaccepted())
	})
}
