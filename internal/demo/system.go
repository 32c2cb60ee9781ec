package demo

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
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
	controller *control.Controller
	admin      *admin.Server
	listener   net.Listener
	end        context.CancelFunc // of the controller
	running    sync.WaitGroup
}

// settings are those of the demo's distributor. Nothing is kept.
func settings(targets []distributor.Target, folder string) control.Config {
	c := control.DefaultConfig()
	d := &c.Distributor
	d.Host, d.Port, d.MetricsListen = "127.0.0.1", 0, "127.0.0.1:0"
	d.Targets = targets
	d.DataDir = folder
	d.Version = "demo"
	d.Server.DrainDelay = 0 // no load balancer in front of it
	d.Analyzer.ProbeInterval = time.Second
	d.Analyzer.SlowStart = 3 * time.Second
	c.Admin.Addr, c.Admin.Persist = "127.0.0.1:0", false
	return c
}

// startSystem starts a distributor; demo and actuator may be nil.
func startSystem(ctx context.Context, settings control.Config, demo admin.Demo, actuator autoscale.Actuator, logger *slog.Logger) (s *system, err error) {
	loader := config.New(settings, func(string) (string, bool) { return "", false })
	controller, err := control.Open(loader, control.Dependencies{
		Logger: logger, Log: logging.New(io.Discard, logging.DefaultConfig()),
		Prepare:  func(control.Config) (commit, abort func(), err error) { return func() {}, func() {}, nil },
		Actuator: actuator,
	})
	if err != nil {
		return nil, err
	}
	c := controller.Config()
	s = &system{controller: controller}
	if s.listener, err = admin.Listen(c.Admin, nil); err != nil {
		return nil, err
	}
	if s.Distributor, err = distributor.New(c.Distributor, logger); err != nil {
		return nil, errors.Join(err, s.listener.Close())
	}
	if err := controller.Attach(s.Distributor, s.Registerer()); err != nil {
		return nil, errors.Join(err, s.stop(ctx))
	}
	s.Start(ctx)
	access, err := admin.NewAccess(c.Admin, s.CredentialFiles(), nil)
	if err != nil {
		return nil, errors.Join(err, s.stop(ctx))
	}
	s.admin, err = admin.Serve(s.listener, admin.Dependencies{
		Controller: controller, Access: access, DataDir: c.Distributor.DataDir, Version: c.Distributor.Version, Registerer: s.Registerer(), Logger: logger, Demo: demo,
	})
	if err != nil {
		return nil, errors.Join(err, s.stop(ctx))
	}
	ctx, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.running.Go(func() { controller.Run(ctx) })
	return s, nil
}

// consoleAddr returns the address of the console.
func (s *system) consoleAddr() string { return s.listener.Addr().String() }

// stop delivers what is queued, and then ends the admin API, which shows that. It may be called
// again.
func (s *system) stop(ctx context.Context) error {
	_, err := s.Stop(ctx)
	if s.admin == nil {
		return errors.Join(err, s.listener.Close())
	}
	s.end()
	ended, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err = errors.Join(err, s.admin.Stop(ended))
	s.running.Wait()
	return err
}
