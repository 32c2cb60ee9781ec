package main

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
)

// usage returns a command's flags, environment names and defaults.
func usage(c *ffcli.Command, settings []config.Setting) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\nUsage: %s\n", sentence(c.ShortHelp), c.ShortUsage)
	if len(settings) > 0 {
		env := make(map[string]string)
		for _, s := range settings {
			env[s.Flag] = s.Env
		}
		text.WriteByte('\n')
		table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "FLAG\tENVIRONMENT\tDEFAULT\tMEANING")
		c.FlagSet.VisitAll(func(f *flag.Flag) {
			_, _ = fmt.Fprintf(table, "-%s\t%s\t%s\t%s\n", f.Name, cmp.Or(env[f.Name], "-"), cmp.Or(f.DefValue, "-"), f.Usage)
		})
		_ = table.Flush()
		if slices.ContainsFunc(settings, func(s config.Setting) bool { return s.Env != "" }) {
			text.WriteString("\nA flag overrides its environment variable")
			if c.FlagSet.Lookup("config") != nil {
				text.WriteString(", which overrides the file")
			}
			text.WriteByte('.')
		}
	}
	return strings.TrimRight(text.String(), "\n")
}

// sentence returns the help of a command with a capital letter and a full stop.
func sentence(help string) string { return strings.ToUpper(help[:1]) + help[1:] + "." }

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
