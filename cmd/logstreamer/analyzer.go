package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/analyzer"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/logging"
)

// analyzerStopTimeout bounds how long a stop waits for requests in flight.
const analyzerStopTimeout = 10 * time.Second

func analyzerCommand(p process) *ffcli.Command {
	return newService(p, ffcli.Command{
		Name:       "analyzer",
		ShortUsage: "logstreamer analyzer [flags]",
		ShortHelp:  "take packets and count their messages",
	}, newLoader(p, service[analyzer.Config]{analyzer.DefaultConfig(), logging.DefaultConfig()}), func(ctx context.Context, loaded *config.Loaded[service[analyzer.Config]], logger *slog.Logger) error {
		a, err := analyzer.New(loaded.Config.Role, analyzer.Deps{Logger: logger})
		if err != nil {
			return err
		}
		a.Start()
		<-ctx.Done()
		stopping, cancel := context.WithTimeout(context.Background(), analyzerStopTimeout)
		defer cancel()
		return a.Stop(stopping)
	})
}
