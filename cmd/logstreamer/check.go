package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/peterbourgon/ff/v3/ffcli"
)

func checkCommand(p process) *ffcli.Command {
	s, config, _ := distributorSettings("check", p)
	return &ffcli.Command{
		Name:       "check",
		ShortUsage: "logstreamer check [-config FILE] [flags]",
		ShortHelp:  "validate a distributor's configuration and print what it resolves to",
		FlagSet:    s.set,
		UsageFunc:  s.usage,
		Exec: func(_ context.Context, args []string) error {
			if err := noArguments(args); err != nil {
				return err
			}
			if err := s.resolve(); err != nil {
				return err
			}
			if err := config.Validate(); err != nil {
				return usageError{err}
			}
			table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
			for _, one := range s.list {
				_, _ = fmt.Fprintf(table, "%s\t%s\n", one.env, s.set.Lookup(one.name).Value)
			}
			var sum float64
			for _, t := range config.Targets {
				sum += t.Weight
			}
			_, _ = fmt.Fprintln(table, "\nANALYZER\tSHARE\tURL")
			for _, t := range config.Targets {
				_, _ = fmt.Fprintf(table, "%s\t%.1f %%\t%s\n", t.ID, 100*t.Weight/sum, t.URL)
			}
			return table.Flush()
		},
	}
}
