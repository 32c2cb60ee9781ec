package control

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// register registers the metrics of the configuration.
func (c *Controller) register(registerer prometheus.Registerer) error {
	var errs []error
	for _, metric := range []struct {
		name, help string
		value      func() float64
	}{
		{"distributor_config_revision", "Revision of the configuration.", func() float64 { return float64(c.Revision()) }},
		{"distributor_config_overrides", "Values of the configuration that operators set over those of file, environment and flags.",
			func() float64 { return float64(len(c.current.Load().overrides)) }},
		{"distributor_config_synchronized", "1 if what operators change is that of all distributors of the cluster, or of this one alone; 0 while the shared settings cannot be reached or applied.", func() float64 {
			if c.Store().Synchronized {
				return 1
			}
			return 0
		}},
		{"distributor_config_last_reload_successful", "1 if the last reload of the configuration succeeded, 0 if it was refused.", func() float64 {
			if c.LastReload().Success {
				return 1
			}
			return 0
		}},
		{"distributor_config_last_reload_timestamp_seconds", "When the configuration was last reloaded, also without success.",
			func() float64 { return float64(c.LastReload().Time.UnixMilli()) / 1000 }},
		{"distributor_config_oldest_override_timestamp_seconds", "When the oldest override was set that does not revert itself; 0 without one.", c.oldestOverride},
	} {
		errs = append(errs, registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metric.name, Help: metric.help}, metric.value)))
	}
	for result, count := range map[string]*atomic.Int64{"succeeded": &c.scaling.succeeded, "failed": &c.scaling.failed} {
		errs = append(errs, registerer.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "distributor_autoscale_commands_total", Help: "Runs of AUTOSCALE_COMMAND.", ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(count.Load()) })))
	}
	return errors.Join(errs...)
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
