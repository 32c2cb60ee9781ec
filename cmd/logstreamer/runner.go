package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/logstreamer/logstreamer/internal/admin"
	"github.com/logstreamer/logstreamer/internal/cluster"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/logging"
	"github.com/logstreamer/logstreamer/internal/upgrade"
)

// runner runs a distributor with its admin API in this process, and others after it that
// take its sockets over when an upgrade fails.
type runner struct {
	controller *control.Controller
	logger     *slog.Logger
	inherited  *upgrade.Inheritance
	upgrader   *upgrade.Upgrader
	cluster    *cluster.Cluster // nil without other distributors
	notShared  error            // why there is no connection to them
	identity   admin.Identity   // set by the first start

	mu     sync.Mutex // guards access
	access *admin.Access
}

// newRunner returns a runner of the effective configuration. It takes no resources.
func newRunner(p process, loader *config.Loader[control.Config], log logging.Config) (r *runner, err error) {
	handler := logging.New(p.stderr, log)
	r = &runner{logger: slog.New(handler), inherited: p.inherited, upgrader: upgrade.New(p.args)}
	r.controller, err = control.Open(loader, control.Dependencies{Logger: r.logger.With("component", "control"), Log: handler, Prepare: r.prepare, Share: r.share})
	if r.notShared != nil {
		return nil, r.notShared
	}
	if err != nil {
		return nil, usageError{err}
	}
	handler.Configure(r.controller.Config().Log)
	return r, nil
}

// prepare prepares a change of the admin API's credentials.
func (r *runner) prepare(c control.Config) (commit, abort func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.access == nil {
		return func() {}, func() {}, nil
	}
	return r.access.Prepare(c.Admin)
}

// run serves until the context ends.
func (r *runner) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	stopUpgrades := upgradeOnSignal(ctx, r.upgrader, r.logger)
	defer stopUpgrades()
	defer cancel() // before stopUpgrades
	taken, err := inheritedSockets(r.inherited)
	if err != nil {
		return err
	}
	var background sync.WaitGroup
	defer background.Wait()
	started := make(chan struct{})
	defer reloadOnHangup(ctx, started, r.controller)()
	for first := true; ; first = false {
		i, err := r.start(ctx, taken)
		if err != nil {
			cancel()
			return err
		}
		if first {
			close(started)
			background.Go(func() { r.controller.Run(ctx) })
			if r.cluster != nil {
				background.Go(func() { r.announce(ctx) })
			}
		}
		r.takenOver()
		notifyServiceManager(r.logger, daemon.SdNotifyReady)
		var handedOver bool
		if taken, handedOver, err = r.serve(ctx, i); !handedOver {
			cancel()
			return err
		}
	}
}

// instance is a running distributor with its admin API.
type instance struct {
	*distributor.Distributor
	listener net.Listener  // of the admin API, nil if it is off
	admin    *admin.Server // nil if it is off
}

// start starts an instance on sockets that it takes over.
func (r *runner) start(ctx context.Context, taken sockets) (i *instance, err error) {
	c := r.controller.Config()
	i = &instance{}
	if i.listener, err = admin.Listen(c.Admin, taken.admin); err != nil {
		taken.Close()
		return nil, err
	}
	if i.Distributor, err = distributor.NewOn(taken.Sockets, c.Distributor, r.logger); err != nil {
		return nil, errors.Join(err, closeListener(i.listener))
	}
	if err := errors.Join(i.Registerer().Register(r.upgrader.Collector()), r.controller.Attach(i.Distributor, i.Registerer())); err != nil {
		return nil, errors.Join(err, i.stop(0))
	}
	if r.cluster != nil {
		i.SetClusterSize(r.cluster.Presence().Size())
	}
	access, secure, err := i.adminAccess(c.Admin)
	if err != nil {
		return nil, errors.Join(err, i.stop(0))
	}
	// Nothing that can fail is left: the previous binary could not have the connections again.
	i.AddConnections(r.inherited.Connections())
	i.Start(ctx)
	if err := r.serveAdmin(i, c, access); err != nil {
		return nil, errors.Join(err, i.stop(0))
	}
	if i.admin != nil {
		r.logger.Info("the admin API is served", "address", admin.AddressOf(c.Admin, i.listener), "tls", secure)
	}
	return i, nil
}

// adminAccess reads the credentials of the admin API. It returns nil if that is off.
func (i *instance) adminAccess(c control.AdminConfig) (access *admin.Access, secure bool, err error) {
	if i.listener == nil {
		return nil, false, nil
	}
	certificate, err := admin.TLS(c, i.Certificates())
	if err != nil {
		return nil, false, err
	}
	access, err = admin.NewAccess(c, i.CredentialFiles(), certificate)
	return access, certificate != nil, err
}

// serveAdmin serves the admin API unless it is off. It fails only if a metric is registered twice.
func (r *runner) serveAdmin(i *instance, c control.Config, access *admin.Access) (err error) {
	r.identify(i, c)
	if i.listener == nil {
		return nil
	}
	r.mu.Lock()
	r.access = access
	r.mu.Unlock()
	i.admin, err = admin.Serve(i.listener, admin.Dependencies{
		Controller: r.controller, Access: access, DataDir: c.Distributor.DataDir, Upgrader: upgrades{r.upgrader},
		Identity: r.identity, Cluster: r.others(), Version: c.Distributor.Version, Registerer: i.Registerer(), Logger: r.logger.With("component", "admin"),
	})
	if text := c.Admin.ShortToken(); text != "" {
		r.logger.Warn(text)
	}
	return err
}

// adminStopTimeout is for how long a stop waits for responses of the admin API.
const adminStopTimeout = 2 * time.Second

// stop stops the distributor, and then the admin API, which shows the stop until its end.
func (i *instance) stop(timeout time.Duration) error {
	return errors.Join(stopDistributor(i.Distributor, timeout), i.stopAdmin())
}

func (i *instance) stopAdmin() error {
	if i.admin == nil {
		return closeListener(i.listener)
	}
	ctx, cancel := context.WithTimeout(context.Background(), adminStopTimeout)
	defer cancel()
	return i.admin.Stop(ctx)
}

func closeListener(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

// serve waits for the end of the context and for requests for an upgrade. handedOver means
// that another distributor must take the sockets over.
func (r *runner) serve(ctx context.Context, i *instance) (taken sockets, handedOver bool, err error) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case request := <-r.upgrader.Requests():
			if taken, err = r.handOver(ctx, i); err != nil {
				notifyServiceManager(r.logger, daemon.SdNotifyReady)
				request.Done(err)
				continue
			}
			request.Done(ctx.Err())
			if err := i.stopAdmin(); err != nil {
				r.logger.Warn("the admin API could not be stopped in order", "error", err)
			}
			if ctx.Err() != nil { // a stop was requested meanwhile
				taken.Close()
				break
			}
			r.exec(taken)
			return taken, true, nil
		}
	}
	notifyServiceManager(r.logger, daemon.SdNotifyStopping)
	return sockets{}, false, i.stop(i.Config().ShutdownTimeout)
}
