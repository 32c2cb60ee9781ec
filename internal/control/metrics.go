package control

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/metric"
)

// register registers the metrics of the configuration.
func (c *Controller) register(registerer prometheus.Registerer) error {
	r := metric.On(registerer)
	gauge := func(name, help string, read func() float64) { r.GaugeFunc(name, help, nil, read) }
	gauge("distributor_config_revision", "Revision of the configuration.", func() float64 { return float64(c.Revision()) })
	gauge("distributor_config_overrides", "Values of the configuration that operators set over those of file, environment and flags.",
		func() float64 { return float64(len(c.current.Load().overrides)) })
	gauge("distributor_config_synchronized", "1 if what operators change is that of all distributors of the cluster, or of this one alone; 0 while the shared settings cannot be reached or applied.",
		func() float64 { return metric.Bool(c.Store().Synchronized) })
	gauge("distributor_config_last_reload_successful", "1 if the last reload of the configuration succeeded, 0 if it was refused.",
		func() float64 { return metric.Bool(c.LastReload().Success) })
	gauge("distributor_config_last_reload_timestamp_seconds", "When the configuration was last reloaded, also without success.",
		func() float64 { return float64(c.LastReload().Time.UnixMilli()) / 1000 })
	gauge("distributor_config_oldest_override_timestamp_seconds", "When the oldest override was set that does not revert itself; 0 without one.", c.oldestOverride)
	for result, count := range map[string]*atomic.Int64{"succeeded": &c.scaling.succeeded, "failed": &c.scaling.failed} {
		r.CounterFunc("distributor_autoscale_commands_total", "Runs of AUTOSCALE_COMMAND.", prometheus.Labels{"result": result},
			func() float64 { return float64(count.Load()) })
	}
	return r.Err()
}

func (c *Controller) oldestOverride() float64 {
	oldest := 0.0
	for _, one := range c.current.Load().overrides {
		if at := float64(one.Time.Unix()); one.Expires == nil && (oldest == 0 || at < oldest) {
			oldest = at
		}
	}
	return oldest
}
