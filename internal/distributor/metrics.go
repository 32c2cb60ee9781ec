package distributor

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/logstreamer/logstreamer/internal/listener"
	"github.com/logstreamer/logstreamer/internal/metric"
)

// Registerer adds to the served metrics. It may be used concurrently.
func (d *Distributor) Registerer() prometheus.Registerer { return d.registry }

// register registers the metrics of the distributor as a whole.
func (d *Distributor) register() error {
	accepted := func() (packets, messages float64) {
		volume := d.journal.Stats().Accepted
		return float64(volume.Packets), float64(volume.Messages)
	}
	r := metric.On(d.registry)
	counter := func(name, help string, read func() float64) { r.CounterFunc(name, help, nil, read) }
	gauge := func(name, help string, read func() float64) { r.GaugeFunc(name, help, nil, read) }
	counter("distributor_total_packets_total", "Packets accepted.", func() float64 { packets, _ := accepted(); return packets })
	counter("distributor_total_messages_total", "Messages of packets accepted.", func() float64 { _, messages := accepted(); return messages })
	gauge("distributor_healthy_analyzers", "Analyzers in state ready whose breaker is not open.", func() float64 { return float64(d.eligible()) })
	gauge("distributor_total_analyzers", "Analyzers configured.", func() float64 { return float64(len(d.present())) })
	gauge("distributor_taken_out_analyzers", "Analyzers that are drained or in maintenance, by an operator or the configuration.", func() float64 { return float64(d.notReady()) })
	gauge("distributor_cluster_distributors", "Live distributors that share the journal, this one included.", func() float64 { return float64(d.ClusterSize()) })
	gauge("distributor_unaccounted_messages",
		"Accepted messages that are neither delivered, dead-lettered, queued nor in flight; must be 0.",
		func() float64 { return float64(d.Status().Unaccounted) })
	gauge("distributor_ingest_queue_packets", "Packets accepted and not bound to an analyzer.",
		func() float64 { return float64(d.waiting().Packets) })
	gauge("distributor_ingest_queue_messages", "Messages of packets accepted and not bound to an analyzer.",
		func() float64 { return float64(d.waiting().Messages) })
	started := float64(time.Now().UnixMilli()) / 1000
	gauge("distributor_start_time_seconds", "When this distributor started, or took over from the previous one, since 1970.", func() float64 { return started })
	if !d.Stores() { // a disk journal has no such limit
		gauge("distributor_ingest_queue_limit_packets", "Maximum of packets accepted and not bound (INGEST_BUFFER_SIZE, JOURNAL=memory).",
			func() float64 { return float64(d.Config().Memory.QueuePackets) })
	}
	gauge("distributor_memory_bytes", "Memory that accepted, undelivered packets hold, with the bodies of requests that they are parts of.",
		func() float64 { return float64(d.journal.Stats().MemoryBytes + d.intake.Memory().Shared()) })
	gauge("distributor_memory_limit_bytes", "Maximum memory of accepted, undelivered packets (MEMORY_LIMIT_BYTES).",
		func() float64 { return float64(d.Config().Memory.LimitBytes) })
	gauge("distributor_desired_analyzers_limit", "Maximum of the analyzers that are desired in a group (AUTOSCALE_MAX).", func() float64 { return float64(d.Config().Autoscale.Max) })
	r.GaugeFunc("distributor_build_info", "1, with the version of the distributor and of Go.",
		prometheus.Labels{"version": d.Config().Version, "goversion": runtime.Version()}, func() float64 { return 1 })
	r.Register(scaleCollector{&d.watcher.scaling})
	r.Register(readyCollector{d})
	r.Register(collectors.NewGoCollector())
	r.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r.Err()
}

// readyCollector exports which analyzers are to get packets, so that nobody is alarmed about the others.
type readyCollector struct{ distributor *Distributor }

var readyAnalyzer = prometheus.NewDesc("distributor_analyzer_ready", "1 while the analyzer is in state ready, 0 while it is drained or in maintenance.", []string{"analyzer"}, nil)

// Describe implements prometheus.Collector.
func (c readyCollector) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- readyAnalyzer }

// Collect implements prometheus.Collector.
func (c readyCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, a := range c.distributor.present() {
		metrics <- prometheus.MustNewConstMetric(readyAnalyzer, prometheus.GaugeValue, metric.Bool(a.target.State == StateReady), a.ID())
	}
}

// maxMetricsConnections bounds the connections to the metrics, which need no credential: others would
// take the descriptors of the ingest and the journal.
const maxMetricsConnections = 64

// metricsServer serves /metrics on its own listener, with HTTP/1.1 only.
type metricsServer struct {
	http *http.Server
	done chan struct{}
}

func serveMetrics(l net.Listener, registry *prometheus.Registry, logger *slog.Logger) *metricsServer {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	bounded := listener.NewBounded(listener.NewRetrying(l, logger), maxMetricsConnections, maxMetricsConnections/2, func() {})
	s := &metricsServer{
		done: make(chan struct{}),
		http: &http.Server{
			Handler:           mux,
			Protocols:         &protocols,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      30 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    16 << 10,
			ConnState:         bounded.Changed,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug), // of single connections
		},
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(bounded); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics are no longer served", "error", err)
		}
	}()
	return s
}

func (s *metricsServer) stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.done
	return err
}
