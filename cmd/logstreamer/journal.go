package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/journal/disk"
	"github.com/logstreamer/logstreamer/internal/journal/jetstream"
)

// journalCommand reads a disk journal, or the streams of NATS. It is read-only, so it may run
// beside distributors.
func journalCommand(p process) *ffcli.Command {
	return &ffcli.Command{
		Name:       "journal",
		ShortUsage: "logstreamer journal inspect|verify|export [flags]",
		ShortHelp:  "read the disk journal of a distributor, or the streams of several, also while they run",
		LongHelp:   "Reads the disk journal of a distributor, or with -journal jetstream the streams of\nseveral, also while they run.",
		FlagSet:    newFlagSet("journal", p),
		UsageFunc:  func(c *ffcli.Command) string { return commandUsage(c, "logstreamer journal") },
		Subcommands: []*ffcli.Command{
			journalReport(p, "inspect", "show the journal's contents", disk.Inspect, jetstream.Inspect),
			journalReport(p, "verify", "check every record; exits with 1 when a packet is lost", disk.Verify, jetstream.Verify),
			journalExport(p),
		},
		Exec: requireSubcommand("logstreamer journal", "inspect", "verify", "export"),
	}
}

// dataDir is the data directory that a command reads; the tags are those of package config.
type dataDir struct {
	Path string `env:"DATA_DIR" help:"the distributor's data directory"`
}

// Validate returns an error unless it is a directory.
func (d dataDir) Validate() error {
	info, err := os.Stat(d.Path)
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a directory")
	}
	if err != nil {
		return fmt.Errorf("DATA_DIR %q: %w", d.Path, err)
	}
	return nil
}

// source is the journal that a command reads; the tags are those of package config.
type source struct {
	Journal   string `env:"JOURNAL" enum:"memory,disk,jetstream" help:"jetstream: read the streams; otherwise read DATA_DIR"`
	DataDir   dataDir
	JetStream jetstream.Config
}

func defaultSource() source {
	return source{Journal: distributor.JournalDisk, DataDir: dataDir{"./data"}, JetStream: jetstream.DefaultConfig()}
}

// isStreams reports whether the journal is in streams.
func (s source) isStreams() bool { return s.Journal == distributor.JournalJetStream }

// Validate returns an error unless the journal can be there.
func (s source) Validate() error {
	if s.isStreams() {
		return s.JetStream.Validate()
	}
	return s.DataDir.Validate()
}

// reportConfig is the configuration of journal inspect and verify.
type reportConfig struct {
	source
	JSON bool `flag:"json" help:"print JSON"`
}

// journalReport returns a command that prints a report.
func journalReport(p process, name, help string, inspect func(dir string) (disk.Report, error), inspectStreams func(context.Context, jetstream.Config) (jetstream.Report, error)) *ffcli.Command {
	return newCommand(p, ffcli.Command{
		Name:       name,
		ShortUsage: "logstreamer journal " + name + " [-data-dir DIR | -journal jetstream -nats-url URL] [-json]",
		ShortHelp:  help,
	}, newLoader(p, reportConfig{source: defaultSource()}), func(ctx context.Context, loaded *config.Loaded[reportConfig]) error {
		if loaded.Config.isStreams() {
			report, err := inspectStreams(ctx, loaded.Config.JetStream)
			if report.Servers == "" {
				return err
			}
			return errors.Join(show(p.stdout, report, loaded.Config.JSON, printStreams), err)
		}
		report, err := inspect(loaded.Config.DataDir.Path)
		if report.Dir == "" {
			return fmt.Errorf("DATA_DIR %q: %w", loaded.Config.DataDir.Path, err)
		}
		return errors.Join(show(p.stdout, report, loaded.Config.JSON, printReport), err)
	})
}

// show prints a report as JSON or as text.
func show[R any](out io.Writer, report R, asJSON bool, asText func(io.Writer, R) error) error {
	if !asJSON {
		return asText(out, report)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

func printStreams(out io.Writer, r jetstream.Report) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "streams at\t%s, format %d\n", r.Servers, r.Version)
	_, _ = fmt.Fprintf(table, "survives\t%s\n", r.Survives)
	_, _ = fmt.Fprintf(table, "undelivered\t%d packets, %d messages, %d bytes\n", r.Packets, r.Messages, r.Bytes)
	_, _ = fmt.Fprintf(table, "oldest\t%s\n", age(r.Oldest))
	_, _ = fmt.Fprintf(table, "lost\t%d packets\n", r.Lost)
	printStreamTable(table, r)
	if len(r.Damages) > 0 {
		_, _ = fmt.Fprintln(table, "\nDAMAGE IN\tSEQUENCE\tLOST PACKETS\tREASON")
	}
	for _, d := range r.Damages {
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", d.Stream, d.Sequence, d.Packets, d.Reason)
	}
	return table.Flush()
}

func printStreamTable(table io.Writer, r jetstream.Report) {
	_, _ = fmt.Fprintln(table, "\nSTREAM\tENVELOPES\tCLAIMED\tREDELIVERED\tBYTES\tMAX BYTES\tREPLICAS")
	for _, s := range r.Streams {
		if s.Missing {
			_, _ = fmt.Fprintf(table, "%s\tmissing: a start makes it\n", s.Name)
			continue
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d of %d\n", s.Name, s.Envelopes, s.Claimed, s.Redelivered, s.Bytes, s.MaxBytes, s.Current, s.Replicas)
	}
}

// age describes when a packet was accepted.
func age(at *time.Time) string {
	if at == nil {
		return "none"
	}
	return fmt.Sprintf("%s (%v ago)", at.Format(time.RFC3339), time.Since(*at).Round(time.Second))
}

func printReport(out io.Writer, r disk.Report) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "journal\t%s, format %d\n", r.Dir, r.FormatVersion)
	_, _ = fmt.Fprintf(table, "on disk\t%d bytes in %d segments, %d packets\n", r.Bytes, len(r.Segments), r.Packets)
	_, _ = fmt.Fprintf(table, "undelivered\t%d packets, %d messages, %d bytes\n", r.Undelivered.Packets, r.Undelivered.Messages, r.Undelivered.Bytes)
	_, _ = fmt.Fprintf(table, "oldest\t%s\n", age(r.Undelivered.Oldest))
	_, _ = fmt.Fprintf(table, "next sequence\t%d\n", r.NextSequence)
	_, _ = fmt.Fprintf(table, "lost\t%d packets\n", r.LostPackets())
	if len(r.Segments) > 0 {
		_, _ = fmt.Fprintln(table, "\nSEGMENT\tBYTES\tUNDELIVERED PACKETS")
	}
	for _, segment := range r.Segments {
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\n", filepath.Base(segment.Path), segment.Bytes, segment.Undelivered)
	}
	for _, f := range r.Foreign {
		_, _ = fmt.Fprintf(table, "\nNOT A SEGMENT\t%s: %s\n", filepath.Base(f.Path), f.Reason)
	}
	if len(r.Damages) > 0 {
		_, _ = fmt.Fprintln(table, "\nDAMAGE IN\tOFFSET\tBYTES\tLOST PACKETS\tSEQUENCES\tREASON")
	}
	for _, d := range r.Damages {
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d–%d\t%s\n", filepath.Base(d.Segment), d.Offset, d.Bytes, d.Packets, d.First, d.Last, d.Reason)
	}
	return table.Flush()
}

// exportConfig is the configuration of journal export.
type exportConfig struct {
	source
	DeadLetters bool `flag:"dead-letters" help:"write the dead letters instead, each with its reason, analyzer and time"`
}

// Validate returns an error unless what is exported can be there.
func (c exportConfig) Validate() error {
	if c.DeadLetters {
		return c.DataDir.Validate()
	}
	return c.source.Validate()
}

// journalExport returns the command that writes packets.
func journalExport(p process) *ffcli.Command {
	return newCommand(p, ffcli.Command{
		Name:       "export",
		ShortUsage: "logstreamer journal export [-data-dir DIR | -journal jetstream -nats-url URL] [-dead-letters]",
		ShortHelp:  "write undelivered packets, one per line, as input of the emitter's -file",
	}, newLoader(p, exportConfig{source: defaultSource()}), func(ctx context.Context, loaded *config.Loaded[exportConfig]) error {
		if loaded.Config.DeadLetters {
			return deadletter.Export(filepath.Join(loaded.Config.DataDir.Path, deadletter.Dir), p.stdout)
		}
		if loaded.Config.isStreams() {
			return jetstream.Export(ctx, loaded.Config.JetStream, p.stdout)
		}
		_, err := disk.Export(loaded.Config.DataDir.Path, p.stdout)
		return err
	})
}
