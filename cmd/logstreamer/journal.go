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

// journalReport returns a command that prints a report.
func journalReport(p process, name, help string, inspect func(dir string) (disk.Report, error)) *ffcli.Command {
	dir, asJSON := "./data", false
	s := newSettings(name, p)
	s.add(stringValue{&dir}, "data-dir", "DATA_DIR", "the distributor's data directory")
	s.addFlag(boolValue{&asJSON}, "json", "print JSON")
	return s.command(ffcli.Command{
		ShortUsage: "logstreamer journal " + name + " [-data-dir DIR] [-json]",
		ShortHelp:  help,
	}, func() error { return checkDirectory(dir) }, func(context.Context) error {
		report, err := inspect(dir)
		if report.Dir == "" {
			return err
		}
		if asJSON {
			encoder := json.NewEncoder(p.stdout)
			encoder.SetIndent("", "  ")
			return errors.Join(encoder.Encode(report), err)
		}
		return errors.Join(printReport(p.stdout, report), err)
	})
}

func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a directory")
	}
	if err != nil {
		return fmt.Errorf("DATA_DIR %q: %w", dir, err)
	}
	return nil
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

// journalExport returns the command that writes packets.
func journalExport(p process) *ffcli.Command {
	dir, deadLetters := "./data", false
	s := newSettings("export", p)
	s.add(stringValue{&dir}, "data-dir", "DATA_DIR", "the distributor's data directory")
	s.addFlag(boolValue{&deadLetters}, "dead-letters", "write the dead letters instead, each with its reason, analyzer and time")
	return s.command(ffcli.Command{
		ShortUsage: "logstreamer journal export [-data-dir DIR] [-dead-letters]",
		ShortHelp:  "write undelivered packets, one per line, as input of the emitter's -file",
	}, func() error { return checkDirectory(dir) }, func(context.Context) error {
		if deadLetters {
			return deadletter.Export(filepath.Join(dir, deadletter.Folder), p.stdout)
		}
		_, err := disk.Export(dir, p.stdout)
		return err
	})
}
