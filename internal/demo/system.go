package demo

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/admin"
	"github.com/logstreamer/logstreamer/internal/autoscale"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/logging"
)

// system is the demo's distributor with its admin API, which serves the console.
type system struct {
	*distributor.Distributor
	dir        string // of its data
	controller *control.Controller
	admin      *admin.Server
	listener   net.Listener
	end        context.CancelFunc // of the controller
	running    sync.WaitGroup
}

// settings are those of the demo's distributor. Nothing is kept.
func settings(targets []distributor.Target) control.Config {
	c := control.DefaultConfig()
	d := &c.Distributor
	d.Host, d.Port, d.MetricsListen = "127.0.0.1", 0, "127.0.0.1:0"
	d.Targets = targets
	d.Version = "demo"
	d.Server.DrainDelay = 0 // no load balancer in front of it
	d.Analyzer.ProbeInterval = time.Second
	d.Analyzer.SlowStart = 3 * time.Second
	c.Admin.Addr, c.Admin.Persist = "127.0.0.1:0", false
	return c
}

// startSystem starts a distributor; demo and actuator may be nil.
func startSystem(ctx context.Context, settings control.Config, demo admin.Demo, actuator autoscale.Actuator, logger *slog.Logger) (s *system, err error) {
	s = new(system)
	if s.dir, err = os.MkdirTemp("", "logstreamer-demo-"); err != nil {
		return nil, err
	}
	settings.Distributor.DataDir = s.dir
	if err := s.start(ctx, settings, demo, actuator, logger); err != nil {
		return nil, errors.Join(err, s.stop(ctx))
	}
	return s, nil
}

func (s *system) start(ctx context.Context, settings control.Config, demo admin.Demo, actuator autoscale.Actuator, logger *slog.Logger) (err error) {
	loader := config.New(settings, func(string) (string, bool) { return "", false })
	s.controller, err = control.Open(loader, control.Dependencies{
		Logger: logger, Log: logging.New(io.Discard, logging.DefaultConfig()),
		Prepare:  func(control.Config) (commit, abort func(), err error) { return func() {}, func() {}, nil },
		Actuator: actuator,
	})
	if err != nil {
		return err
	}
	c := s.controller.Config()
	if s.listener, err = admin.Listen(c.Admin, nil); err != nil {
		return err
	}
	if s.Distributor, err = distributor.New(c.Distributor, logger); err != nil {
		return err
	}
	if err := s.controller.Attach(s.Distributor, s.Registerer()); err != nil {
		return err
	}
	s.Start(ctx)
	access, err := admin.NewAccess(c.Admin, s.CredentialFiles(), nil)
	if err != nil {
		return err
	}
	s.admin, err = admin.Serve(s.listener, admin.Dependencies{
		Controller: s.controller, Access: access, DataDir: c.Distributor.DataDir, Version: c.Distributor.Version, Registerer: s.Registerer(), Logger: logger, Demo: demo,
	})
	if err != nil {
		return err
	}
	ctx, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.running.Go(func() { s.controller.Run(ctx) })
	return nil
}

// consoleAddr returns the address of the console.
func (s *system) consoleAddr() string { return s.listener.Addr().String() }

// stop delivers what is queued, also after the end of ctx, and then ends the admin API, which
// shows that, and removes the directory. It may be called again.
func (s *system) stop(ctx context.Context) (err error) {
	const timeout, adminTimeout = 15 * time.Second, 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if s.Distributor != nil {
		_, err = s.Stop(ctx)
	}
	switch {
	case s.end != nil:
		s.end()
		ending, cancel := context.WithTimeout(ctx, adminTimeout)
		defer cancel()
		err = errors.Join(err, s.admin.Stop(ending))
		s.running.Wait()
	case s.listener != nil:
		err = errors.Join(err, s.listener.Close())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
