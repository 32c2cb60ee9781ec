package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/analyzer"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/logging"
	"github.com/logstreamer/logstreamer/internal/registration"
)

// analyzerStopTimeout bounds how long a stop waits for requests in flight.
const analyzerStopTimeout = 10 * time.Second

// analyzerRole is the configuration of an analyzer that may register itself.
type analyzerRole struct {
	Analyzer     analyzer.Config
	Registration registration.Config
}

// Validate returns the errors of both.
func (r analyzerRole) Validate() error {
	return errors.Join(r.Analyzer.Validate(), r.Registration.Validate())
}

func analyzerCommand(p process) *ffcli.Command {
	return newService(p, ffcli.Command{
		Name:       "analyzer",
		ShortUsage: "logstreamer analyzer [-register URL,…] [flags]",
		ShortHelp:  "take packets and count their messages",
	}, newLoader(p, service[analyzerRole]{analyzerRole{analyzer.DefaultConfig(), registration.DefaultConfig()}, logging.DefaultConfig()}), func(ctx context.Context, loaded *config.Loaded[service[analyzerRole]], logger *slog.Logger) error {
		role := loaded.Config.Role
		if role.Registration.TokenFile == "" {
			role.Registration.Token, _ = p.getenv("ADMIN_TOKEN")
		}
		a, err := analyzer.New(role.Analyzer, analyzer.Dependencies{Logger: logger})
		if err != nil {
			return err
		}
		registrar, err := newRegistrar(role.Registration, a, logger)
		if err != nil {
			return errors.Join(usageError{err}, a.Stop(ctx))
		}
		a.Start()
		registrar.Run(ctx) // while it serves; returns once it has left
		<-ctx.Done()
		stopping, cancel := context.WithTimeout(context.Background(), analyzerStopTimeout)
		defer cancel()
		return a.Stop(stopping)
	})
}

// newRegistrar returns the registrar of an analyzer at the configured distributors.
func newRegistrar(c registration.Config, a *analyzer.Analyzer, logger *slog.Logger) (*registration.Registrar, error) {
	address, err := netip.ParseAddrPort(a.Addr())
	if err != nil {
		return nil, err
	}
	return registration.New(c, address, logger)
}
