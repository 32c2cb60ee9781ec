package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"
	"golang.org/x/term"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/demo"
	"github.com/logstreamer/logstreamer/internal/logging"
)

func demoCommand(p process) *ffcli.Command {
	return newService(p, ffcli.Command{
		Name:       "demo",
		ShortUsage: "logstreamer demo [flags]",
		ShortHelp:  "run a distributor, three analyzers and an emitter in one process and watch the split",
	}, newLoader(p, service[demo.Config]{demo.DefaultConfig(), logging.Config{Level: "error", Format: "text"}}), func(ctx context.Context, loaded *config.Loaded[service[demo.Config]], logger *slog.Logger) error {
		settings := loaded.Config.Role
		if settings.File != "" && loaded.Origin("duration") == (config.Origin{}) {
			settings.Duration = 0
		}
		if settings.Cluster > 0 {
			settings = withClusterDefaults(settings, loaded)
		}
		if settings.Protocols && loaded.Origin("rate") == (config.Origin{}) {
			settings.Rate = protocolsRate
		}
		if settings.Autoscale && loaded.Origin("duration") == (config.Origin{}) {
			settings.Duration = autoscaleDuration
		}
		screen := demo.Screen{Out: p.stdout, Terminal: p.isRewritable() && p.fitsTables(), Stdin: p.stdin}
		return demo.Run(ctx, settings, screen, logger)
	})
}

// protocolsRate is the usual rate of requests by other protocols: 20 a second by each.
const protocolsRate = 120

// withClusterDefaults kills a distributor for ten seconds, and continues until others have delivered
// what it held, unless something else is set.
func withClusterDefaults(settings demo.Config, loaded *config.Loaded[service[demo.Config]]) demo.Config {
	for key, setting := range map[string]struct {
		value *time.Duration
		usual time.Duration
	}{
		"duration":      {&settings.Duration, 40 * time.Second},
		"kill_after":    {&settings.KillAfter, 5 * time.Second},
		"kill_duration": {&settings.KillDuration, 10 * time.Second},
	} {
		if loaded.Origin(key) == (config.Origin{}) {
			*setting.value = setting.usual
		}
	}
	return settings
}

// autoscaleDuration is long enough for a load to grow, and for analyzers to come and go.
const autoscaleDuration = 45 * time.Second

// isRewritable reports whether standard output is a terminal on which lines can
// be overwritten.
func (p process) isRewritable() bool {
	file, ok := p.stdout.(*os.File)
	kind, _ := p.getenv("TERM")
	return ok && kind != "dumb" && term.IsTerminal(int(file.Fd()))
}

// fitsTables reports whether standard output is a terminal on which the lines of the demo's
// tables do not wrap. A width of 0 is not known.
func (p process) fitsTables() bool {
	file, ok := p.stdout.(*os.File)
	if !ok {
		return false
	}
	width, _, err := term.GetSize(int(file.Fd()))
	return err == nil && (width == 0 || width >= demo.Width)
}
