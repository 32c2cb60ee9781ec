package distributor

import (
	"log/slog"
	"path/filepath"
)

// logStart logs version, addresses, journal and analyzers in one line.
func (d *Distributor) logStart() {
	folder, err := filepath.Abs(d.config.DataDir)
	if err != nil { // the working directory was removed
		folder = d.config.DataDir
	}
	weights := make([]any, 0, len(d.config.Targets))
	for _, t := range d.config.Targets {
		weights = append(weights, slog.Float64(t.ID, t.Weight))
	}
	d.logger.Info("distributor serves", "version", d.config.Version, "ingest", d.Addr(), "metrics", d.MetricsAddr(),
		"journal", d.config.Journal, "data_dir", folder, slog.Group("analyzers", weights...),
		"healthy_analyzers", d.healthy(), "total_analyzers", len(d.present()))
}
