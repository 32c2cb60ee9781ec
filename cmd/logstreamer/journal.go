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
	"github.com/logstreamer/logstreamer/internal/journal/disk"
)

// journalCommand reads a disk journal. It is read-only, so it may run beside a
// distributor.
func journalCommand(p process) *ffcli.Command {
	return &ffcli.Command{
		Name:       "journal",
		ShortUsage: "logstreamer journal inspect|verify|export [flags]",
		ShortHelp:  "read the disk journal of a distributor, also while it runs",
		LongHelp:   "Reads the disk journal of a distributor, also while it runs.",
		FlagSet:    newFlagSet("journal", p),
		UsageFunc:  func(c *ffcli.Command) string { return commandUsage(c, "logstreamer journal") },
		Subcommands: []*ffcli.Command{
			journalReport(p, "inspect", "show the journal's contents", disk.Inspect),
			journalReport(p, "verify", "check every record; exits with 1 when a packet is lost", disk.Verify),
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

// reportConfig is the configuration of journal inspect and verify.
type reportConfig struct {
	dataDir
	JSON bool `flag:"json" help:"print JSON"`
}

// journalReport returns a command that prints a report.
func journalReport(p process, name, help string, inspect func(dir string) (disk.Report, error)) *ffcli.Command {
	return newCommand(p, ffcli.Command{
		Name:       name,
		ShortUsage: "logstreamer journal " + name + " [-data-dir DIR] [-json]",
		ShortHelp:  help,
	}, newLoader(p, reportConfig{dataDir: dataDir{"./data"}}), func(_ context.Context, loaded *config.Loaded[reportConfig]) error {
		report, err := inspect(loaded.Config.Path)
		if report.Dir == "" {
			return err
		}
		if loaded.Config.JSON {
			encoder := json.NewEncoder(p.stdout)
			encoder.SetIndent("", "  ")
			return errors.Join(encoder.Encode(report), err)
		}
		return errors.Join(printReport(p.stdout, report), err)
	})
}

func printReport(out io.Writer, r disk.Report) error {
	oldest := "none"
	if at := r.Undelivered.Oldest; at != nil {
		oldest = fmt.Sprintf("%s (%v ago)", at.Format(time.RFC3339), time.Since(*at).Round(time.Second))
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "journal\t%s, format %d\n", r.Dir, r.FormatVersion)
	_, _ = fmt.Fprintf(table, "on disk\t%d bytes in %d segments, %d packets\n", r.Bytes, len(r.Segments), r.Packets)
	_, _ = fmt.Fprintf(table, "undelivered\t%d packets, %d messages, %d bytes\n", r.Undelivered.Packets, r.Undelivered.Messages, r.Undelivered.Bytes)
	_, _ = fmt.Fprintf(table, "oldest\t%s\n", oldest)
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
	dataDir
	DeadLetters bool `flag:"dead-letters" help:"write the dead letters instead, each with its reason, analyzer and time"`
}

// journalExport returns the command that writes packets.
func journalExport(p process) *ffcli.Command {
	return newCommand(p, ffcli.Command{
		Name:       "export",
		ShortUsage: "logstreamer journal export [-data-dir DIR] [-dead-letters]",
		ShortHelp:  "write undelivered packets, one per line, as input of the emitter's -file",
	}, newLoader(p, exportConfig{dataDir: dataDir{"./data"}}), func(_ context.Context, loaded *config.Loaded[exportConfig]) error {
		if loaded.Config.DeadLetters {
			return deadletter.Export(filepath.Join(loaded.Config.Path, deadletter.Folder), p.stdout)
		}
		_, err := disk.Export(loaded.Config.Path, p.stdout)
		return err
	})
}
