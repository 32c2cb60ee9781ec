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
)

// Registerer adds to the metrics served. It may be used concurrently.
func (d *Distributor) Registerer() prometheus.Registerer { return d.registry }

// register registers the metrics of the distributor as a whole.
func (d *Distributor) register() error {
	accepted := func() (packets, messages float64) {
		volume := d.journal.Stats().Accepted
		return float64(volume.Packets), float64(volume.Messages)
	}
	var failures []error
	counter := func(name, help string, value func() float64) {
		failures = append(failures, d.registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value)))
	}
	gauge := func(name, help string, value func() float64) {
		failures = append(failures, d.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)))
	}
	counter("distributor_total_packets_total", "Packets accepted.", func() float64 { packets, _ := accepted(); return packets })
	counter("distributor_total_messages_total", "Messages of packets accepted.", func() float64 { _, messages := accepted(); return messages })
	gauge("distributor_healthy_analyzers", "Analyzers in state ready whose breaker is not open.", func() float64 { return float64(d.eligible()) })
	gauge("distributor_total_analyzers", "Analyzers configured.", func() float64 { return float64(len(d.present())) })
	gauge("distributor_cluster_distributors", "Distributors that share the journal and are there; 1 without others.", func() float64 { return float64(d.ClusterSize()) })
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
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "distributor_build_info", Help: "1, with the version of the distributor and of Go.",
		ConstLabels: prometheus.Labels{"version": d.Config().Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	failures = append(failures,
		d.registry.Register(build),
		d.registry.Register(scaleCollector{&d.watcher.scaling}),
		d.registry.Register(collectors.NewGoCollector()),
		d.registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})))
	return errors.Join(failures...)
}

// metricsServer serves /metrics on its own listener, with HTTP/1.1 only.
type metricsServer struct {
	http *http.Server
	done chan struct{}
}

func serveMetrics(listener net.Listener, registry *prometheus.Registry, logger *slog.Logger) *metricsServer {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	var protocols http.Protocols
	protocols.SetHTTP1(true)
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
		},
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
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
