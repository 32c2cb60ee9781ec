package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// usage returns a command's flags, environment names and defaults.
func (s *settings) usage(c *ffcli.Command) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s.\n\nUsage: %s\n", strings.ToUpper(c.ShortHelp[:1])+c.ShortHelp[1:], c.ShortUsage)
	if len(s.list) > 0 {
		text.WriteByte('\n')
		table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
		s.table(table)
		_ = table.Flush()
		text.WriteString("\nA flag overrides its environment variable")
		if s.file != nil {
			text.WriteString(", which overrides the file")
		}
		text.WriteByte('.')
	}
	return strings.TrimRight(text.String(), "\n")
}

func (s *settings) table(w io.Writer) {
	_, _ = fmt.Fprintln(w, "FLAG\tENVIRONMENT\tDEFAULT\tMEANING")
	env := make(map[string]string)
	for _, one := range s.list {
		env[one.name] = one.env
	}
	s.set.VisitAll(func(f *flag.Flag) {
		_, _ = fmt.Fprintf(w, "-%s\t%s\t%s\t%s\n", f.Name, orDash(env[f.Name]), orDash(f.DefValue), f.Usage)
	})
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// commandUsage returns the subcommands of a command.
func commandUsage(c *ffcli.Command, command string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\nUsage: %s\n\n", c.LongHelp, c.ShortUsage)
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, sub := range c.Subcommands {
		_, _ = fmt.Fprintf(table, "  %s\t%s\n", sub.Name, sub.ShortHelp)
	}
	_ = table.Flush()
	fmt.Fprintf(&text, "\nThe flags of a command: %s <command> -h", command)
	return text.String()
}
