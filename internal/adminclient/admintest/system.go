package admintest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/admin"
	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/filewatch"
	"github.com/logstreamer/logstreamer/internal/logging"
)

// System is a distributor of analyzers a1, a2, … with its admin API.
type System struct {
	// URL is that of the admin API.
	URL         string
	Distributor *distributor.Distributor
	Analyzers   []*analyzertest.Analyzer
}

// upgrader accepts every new program and never starts it.
type upgrader struct{}

func (upgrader) Preflight(context.Context) error { return nil }

func (upgrader) Request(context.Context) error { return nil }

// StartSystem starts a system with analyzers of these weights, and more lines of its
// configuration file. Its files are in the directory dir. It stops at the end of the test.
func StartSystem(t testing.TB, dir, lines string, weights ...float64) *System {
	t.Helper()
	s := &System{}
	text := fmt.Sprintf("port: 0\nlisten_addr: 127.0.0.1\nmetrics_addr: 127.0.0.1:0\nadmin_addr: 127.0.0.1:0\ndrain_sec: 0\ndata_dir: %s\n%sanalyzers:\n", filepath.Join(dir, "data"), lines)
	for i, weight := range weights {
		s.Analyzers = append(s.Analyzers, analyzertest.New(t))
		text += fmt.Sprintf("- {id: a%d, url: '%s', weight: %g}\n", i+1, s.Analyzers[i].URL(), weight)
	}
	loader := config.New(control.DefaultConfig(), func(string) (string, bool) { return "", false })
	loader.File = filepath.Join(dir, "logstreamer.yaml")
	logger := slog.New(slog.DiscardHandler)
	watcher, err := filewatch.New(logger, nil)
	check(t, os.WriteFile(loader.File, []byte(text), 0o600), err)
	var access *admin.Access
	controller, err := control.Open(loader, control.Dependencies{
		Logger: logger, Log: logging.New(io.Discard, logging.DefaultConfig()),
		Prepare: func(c control.Config) (commit, abort func(), err error) {
			if err := watcher.Reload(); err != nil {
				return nil, nil, err
			}
			return access.Prepare(c.Admin)
		},
	})
	check(t, err)
	access, err = admin.NewAccess(controller.Config().Admin, watcher, nil)
	check(t, err)
	s.Distributor, err = distributor.New(controller.Config().Distributor, logger)
	check(t, err, controller.Attach(s.Distributor, prometheus.NewRegistry()))
	s.Distributor.Start(t.Context())
	s.serve(t, controller, access, logger)
	return s
}

// serve serves the admin API until the end of the test.
func (s *System) serve(t testing.TB, controller *control.Controller, access *admin.Access, logger *slog.Logger) {
	t.Helper()
	listener, err := admin.Listen(controller.Config().Admin, nil)
	check(t, err)
	server, err := admin.Serve(listener, admin.Dependencies{
		Controller: controller, Access: access, Upgrader: upgrader{}, DataDir: controller.Config().Distributor.DataDir,
		Version: "1.2.3", Registerer: prometheus.NewRegistry(), Logger: logger,
	})
	check(t, err)
	s.URL = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		controller.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		cancel()
		<-done
		_, _ = s.Distributor.Stop(context.Background())
	})
}

func check(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
