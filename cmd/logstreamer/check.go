package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"text/tabwriter"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/admin"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/journal/disk"
	"github.com/logstreamer/logstreamer/internal/journal/jetstream"
	"github.com/logstreamer/logstreamer/internal/logging"
	"github.com/logstreamer/logstreamer/internal/natslink"
)

func checkCommand(p process) *ffcli.Command {
	loader := newDistributorLoader(p)
	var preflight *bool
	c := newCommand(p, ffcli.Command{
		Name:       "check",
		ShortUsage: "logstreamer check [-config FILE] [flags]",
		ShortHelp:  "validate a distributor's configuration and print what it resolves to, and where from",
	}, loader, func(ctx context.Context, loaded *config.Loaded[control.Config]) error {
		newDiagnostics(p, loader, loaded, loaded.Config.Log)
		controller, err := control.Open(loader, control.Dependencies{Logger: slog.New(logging.New(p.stderr, loaded.Config.Log))})
		if err != nil {
			return usageError{err}
		}
		if *preflight {
			return checkStart(ctx, p, controller.Config().Distributor.WithDefaults())
		}
		return errors.Join(printConfig(p, loader.Settings, controller.Loaded()), checkStreams(ctx, p, controller.Config().Distributor))
	})
	addConfigFlag(c, loader)
	preflight = c.FlagSet.Bool("preflight", false, "check what a start would need, as a distributor does before it upgrades to this binary")
	schema := c.FlagSet.Bool("schema", false, "print the JSON Schema of the file, for editors, and nothing else")
	check := c.Exec
	c.Exec = func(ctx context.Context, args []string) error {
		if !*schema {
			return check(ctx, args)
		}
		text, err := loader.JSONSchema("Log Streamer distributor")
		if err == nil {
			_, err = p.stdout.Write(text)
		}
		return err
	}
	return c
}

// checkStart checks whether a distributor could start, beside one that runs.
func checkStart(ctx context.Context, p process, config distributor.Config) error {
	var err error
	switch config.Journal {
	case distributor.JournalDisk:
		err = errors.Join(config.CheckDataDir(), disk.CheckVersion(config.DataDir))
	case distributor.JournalJetStream:
		_, streams := jetstream.Check(ctx, config.JetStream)
		err = errors.Join(config.CheckDataDir(), streams)
	}
	if err != nil {
		return err
	}
	return reportPassed(p)
}

// checkStreams connects to NATS, as a start would, and prints the streams.
func checkStreams(ctx context.Context, p process, config distributor.Config) error {
	if config.Journal != distributor.JournalJetStream {
		return nil
	}
	report, err := jetstream.Check(ctx, config.JetStream)
	if err != nil {
		return fmt.Errorf("JOURNAL=jetstream: %w", err)
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "\nConnected to %s. Accepted packets survive %s.\n", report.Servers, report.Survives)
	if report.MaxPayload < natslink.DefaultMaxPayload {
		_, _ = fmt.Fprintf(table, "NATS takes messages of at most %d bytes (max_payload): larger packets are refused with 413.\n", report.MaxPayload)
	}
	printStreamTable(table, report)
	for _, s := range report.Streams {
		for _, c := range s.Concerns {
			_, _ = fmt.Fprintf(table, "\nThe stream %s: %v.\n", s.Name, c)
		}
	}
	return table.Flush()
}

// printConfig prints each setting and its origin, and each analyzer and its share.
func printConfig(p process, settings []config.Setting, loaded *config.Loaded[control.Config]) error {
	loaded = loaded.Clone()
	loaded.Config.Distributor = loaded.Config.Distributor.WithDefaults()
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SETTING\tVALUE\tFROM")
	for _, s := range settings {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%v\n", cmp.Or(s.Env, "-"+s.Flag), loaded.Text(s), loaded.Origin(s.Key))
	}
	resolved := loaded.Config.Distributor
	sum, fine := resolved.Targets.WeightSum()
	_, _ = fmt.Fprintln(table, "\nANALYZER\tSHARE\tURL")
	for _, t := range resolved.Targets {
		_, _ = fmt.Fprintf(table, "%s\t%.1f %%\t%s\n", t.ID, 100*t.Weight/sum, t.URL)
	}
	if !fine {
		_, _ = fmt.Fprintf(table, "\nThe weights sum to %.6g, not to about 1; their proportions are used.\n", sum)
	}
	for _, text := range slices.Concat(resolved.LargeBodies(), resolved.Warnings()) {
		_, _ = fmt.Fprintf(table, "\n%s.\n", text)
	}
	if text := loaded.Config.Admin.ShortToken(); text != "" {
		_, _ = fmt.Fprintf(table, "\n%s.\n", text)
	}
	problem := resolved.CheckDataDir()
	if problem != nil && resolved.Journal == distributor.JournalMemory { // of which a start only warns
		_, _ = fmt.Fprintf(table, "\n%v\n", problem)
		problem = nil
	}
	return errors.Join(table.Flush(), problem, resolved.CheckCredentials(), admin.CheckCredentials(loaded.Config.Admin))
}
