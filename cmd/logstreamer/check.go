package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/distributor"
)

func checkCommand(p process) *ffcli.Command {
	s, config, log := distributorSettings("check", p)
	return s.command(ffcli.Command{
		ShortUsage: "logstreamer check [-config FILE] [flags]",
		ShortHelp:  "validate a distributor's configuration and print what it resolves to",
	}, func() error { return config.Validate() }, func(context.Context) error {
		s.warnOfTypos(log.diagnostics(p.stderr))
		*config = config.Settled()
		table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		for _, setting := range s.list {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", setting.env, s.set.Lookup(setting.name).Value)
		}
		var sum float64
		for _, t := range config.Targets {
			sum += t.Weight
		}
		_, _ = fmt.Fprintln(table, "\nANALYZER\tSHARE\tURL")
		for _, t := range config.Targets {
			_, _ = fmt.Fprintf(table, "%s\t%.1f %%\t%s\n", t.ID, 100*t.Weight/sum, t.URL)
		}
		if sum < 0.9 || sum > 1.1 {
			_, _ = fmt.Fprintf(table, "\nThe weights sum to %g, not to about 1; their proportions are used.\n", sum)
		}
		problem := config.CheckDataDir()
		if problem != nil && config.Journal != distributor.JournalDisk { // of which a start only warns
			_, _ = fmt.Fprintf(table, "\n%v\n", problem)
			problem = nil
		}
		return errors.Join(table.Flush(), problem)
	})
}
