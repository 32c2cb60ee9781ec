package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/peterbourgon/ff/v3/ffcli"
)

func versionCommand(p process) *ffcli.Command {
	return newSettings("version", p).command(ffcli.Command{
		ShortUsage: "logstreamer version",
		ShortHelp:  "print the version",
	}, func() error { return nil }, func(context.Context) error {
		_, err := fmt.Fprintf(p.stdout, "logstreamer %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	})
}
