package browser

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/admin"
	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
	"github.com/logstreamer/logstreamer/internal/filewatch"
	"github.com/logstreamer/logstreamer/internal/logging"
)

// weights are the weights of the analyzers a1, a2 and a3.
var weights = [...]float64{0.5, 0.3, 0.2}

// harness is a distributor with its admin server and three analyzers.
type harness struct {
	testing.TB
	dir       string
	file      string // the configuration
	addr      string // of the admin server, once it is known
	version   string // of the distributor; empty is 1.0
	ingest    string // the address that packets are sent to
	analyzers [len(weights)]*analyzertest.Analyzer

	*distributor.Distributor
	controller *control.Controller
	admin      *admin.Server
	others     *others // nil without a cluster
	running    sync.WaitGroup
	end        context.CancelFunc
	load       sync.WaitGroup
	endLoad    []context.CancelFunc
}

// newHarness starts a harness. The lines are a part of its configuration file.
func newHarness(t testing.TB, lines string) *harness {
	t.Helper()
	return startHarness(t, lines, nil)
}

func startHarness(t testing.TB, lines string, o *others) *harness {
	t.Helper()
	w := &harness{TB: t, dir: t.TempDir(), addr: "127.0.0.1:0", others: o}
	list := ""
	for i, weight := range weights {
		w.analyzers[i] = analyzertest.New(t)
		list += fmt.Sprintf("  - {id: a%d, url: '%s', weight: %g}\n", i+1, w.analyzers[i].URL(), weight)
	}
	w.file = filepath.Join(w.dir, "logstreamer.yaml")
	w.must(os.WriteFile(w.file, fmt.Appendf(nil, "analyzers:\n%sport: 0\nlisten_addr: 127.0.0.1\nmetrics_addr: 127.0.0.1:0\nhealth_check_interval_sec: 0.2\nslow_start_sec: 0\ndata_dir: %s\n%s",
		list, filepath.Join(w.dir, "data"), lines), 0o600))
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *harness) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// start starts the distributor and its admin server, on the previous address.
func (w *harness) start() {
	w.Helper()
	defaults := control.DefaultConfig()
	defaults.Admin.Addr = w.addr
	defaults.Distributor.Version = cmp.Or(w.version, "1.0")
	defaults.Distributor.Server.DrainDelay = 0
	loader := config.New(defaults, func(string) (string, bool) { return "", false })
	loader.File = w.file
	logger := slog.New(slog.DiscardHandler)
	watcher, err := filewatch.New(logger, nil)
	w.must(err)
	var access *admin.Access
	controller, err := control.Open(loader, control.Dependencies{
		Logger: logger, Log: logging.New(io.Discard, logging.DefaultConfig()),
		Prepare: func(c control.Config) (commit, abort func(), err error) { return access.Prepare(c.Admin) },
		Share:   func(control.Config) (control.Document, error) { return w.others.document(), nil },
	})
	w.must(err)
	w.controller = controller
	c := controller.Config()
	access, err = admin.NewAccess(c.Admin, watcher, nil)
	w.must(err)
	listener, err := net.Listen("tcp", w.addr)
	w.must(err)
	w.addr = listener.Addr().String()
	w.Distributor, err = distributor.New(c.Distributor, logger)
	w.must(err)
	w.must(controller.Attach(w.Distributor, prometheus.NewRegistry()))
	ctx, cancel := context.WithCancel(context.Background())
	w.end = cancel
	w.Start(ctx)
	w.ingest = w.Addr()
	w.admin, err = admin.Serve(listener, admin.Dependencies{
		Identity: admin.Identity{Name: "logs-1:8080", Ingest: "http://" + w.ingest, Admin: "http://logs-1:8081", Version: "1.0", Started: time.Now()},
		Cluster:  w.others, Controller: controller, Access: access, DataDir: c.Distributor.DataDir, Version: c.Distributor.Version, Registerer: prometheus.NewRegistry(), Logger: logger,
	})
	w.must(err)
	w.running.Go(func() { controller.Run(ctx) })
}

// stop stops the load, the admin server and the distributor.
func (w *harness) stop() {
	for _, end := range w.endLoad {
		end()
	}
	w.load.Wait()
	w.endLoad = nil
	if w.admin == nil {
		return
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.admin.Stop(ended) // the browser's streams are closed
	_, _ = w.Stop(ended)    // the rest of the test's packets does not matter
	w.end()
	w.running.Wait()
	w.admin = nil
}

// emit sends packets of an emitter until the harness stops, or until the returned function is
// called.
func (w *harness) emit(id string, rate float64, size string) (stop func()) {
	w.Helper()
	c := emitter.DefaultConfig()
	c.Target, c.EmitterID, c.Rate, c.PacketSize, c.Concurrency, c.StopTimeout = "http://"+w.ingest+"/ingest", id, rate, size, 4, 0
	e, err := emitter.New(c, emitter.Dependencies{Logger: slog.New(slog.DiscardHandler)})
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	w.endLoad = append(w.endLoad, cancel)
	w.load.Go(func() { _, _ = e.Run(ctx) })
	return cancel
}

// send posts one packet.
func (w *harness) send(emitterID, packetID, message string) {
	w.Helper()
	body, err := json.Marshal(map[string]any{"emitter_id": emitterID, "packet_id": packetID, "messages": []map[string]any{{"timestamp": 1640995200000, "level": "INFO", "message": message}}})
	w.must(err)
	response, err := http.Post("http://"+w.ingest+"/ingest", "application/json", bytes.NewReader(body))
	w.must(err)
	w.must(response.Body.Close())
	if response.StatusCode != http.StatusAccepted {
		w.Fatalf("the packet of %s: %s", emitterID, response.Status)
	}
}

// api makes a request of the admin API, as another operator does.
func (w *harness) api(method, path, body string) string {
	w.Helper()
	r, err := http.NewRequest(method, "http://"+w.addr+path, bytes.NewReader([]byte(body)))
	w.must(err)
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	w.must(err)
	text, err := io.ReadAll(response.Body)
	w.must(err)
	w.must(response.Body.Close())
	if response.StatusCode/100 != 2 {
		w.Fatalf("%s %s: %s %s", method, path, response.Status, text)
	}
	return string(text)
}

// eventually waits until a response of the API contains a text.
func (w *harness) eventually(path, text string) {
	w.Helper()
	w.matches(path, regexp.QuoteMeta(text))
}

// matches waits until a response of the API matches a pattern.
func (w *harness) matches(path, pattern string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), waitTimeout)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	wanted, last := regexp.MustCompile(pattern), ""
	for !wanted.MatchString(last) {
		select {
		case <-ticker.C:
			last = w.api("GET", path, "")
		case <-ctx.Done():
			w.Fatalf("GET %s never matches %s: %s", path, pattern, last)
		}
	}
}

// rejectAll makes all analyzers reject packets for good, by their ids.
func (w *harness) rejectAll(codes map[string]string) {
	for _, a := range w.analyzers {
		a.Behave(analyzertest.Behaviour{Rejected: codes})
	}
}
