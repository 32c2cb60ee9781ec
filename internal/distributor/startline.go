package distributor

import (
	"log/slog"
	"path/filepath"
)

// logStart logs version, addresses, journal and analyzers in one line.
func (d *Distributor) logStart() {
	config := d.Config()
	dir, err := filepath.Abs(config.DataDir)
	if err != nil { // the working directory was removed
		dir = config.DataDir
	}
	weights := make([]any, 0, len(config.Targets))
	for _, t := range config.Targets {
		weights = append(weights, slog.Float64(t.ID, t.Weight))
	}
	stored := []any{"journal", config.Journal}
	if status := d.JournalStatus(); status.Shared {
		stored = append(stored, "survives", status.Survives)
	}
	d.logger.Info("distributor serves", append(append([]any{"version", config.Version, "ingest", d.Addr(), "metrics", d.MetricsAddr()}, stored...), "data_dir", dir, slog.Group("analyzers", weights...),
		"healthy_analyzers", d.eligible(), "total_analyzers", len(d.present()))...)
}
