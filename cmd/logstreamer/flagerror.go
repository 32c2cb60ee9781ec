package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
)

// flagError adds to an error of package flag the closest flag of the set, or where all are shown.
func flagError(err error, set *flag.FlagSet) error {
	if name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
		var names []string
		set.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		if intended, ok := config.ClosestMatch(name, names); ok {
			return fmt.Errorf("%w; did you mean -%s?", err, intended)
		}
	}
	return fmt.Errorf("%w; -h shows all flags", err)
}

// selected returns the command that the arguments before the first flag select.
func selected(c *ffcli.Command, args []string) *ffcli.Command {
	for _, name := range args {
		i := slices.IndexFunc(c.Subcommands, func(sub *ffcli.Command) bool { return sub.Name == name })
		if i < 0 {
			break
		}
		c = c.Subcommands[i]
	}
	return c
}
