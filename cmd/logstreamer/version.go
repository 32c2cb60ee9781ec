package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/peterbourgon/ff/v3/ffcli"
)

func versionCommand(p process) *ffcli.Command {
	return &ffcli.Command{
		Name:       "version",
		ShortUsage: "logstreamer version",
		ShortHelp:  "print the version",
		FlagSet:    newFlagSet("version", p),
		Exec: func(_ context.Context, args []string) error {
			if err := noArguments(args); err != nil {
				return err
			}
			_, err := fmt.Fprintf(p.stdout, "logstreamer %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
