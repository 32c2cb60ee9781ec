package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// unreleased is the version of a build that was given none.
const unreleased = "dev"

// version is set at release: -ldflags "-X main.version=…".
var version = unreleased

// buildVersion is the version given at release, else what Go recorded: the
// module's version, which go install and builds of a checkout have, or the
// revision.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if version != unreleased || !ok {
		return version
	}
	return recordedVersion(info)
}

func recordedVersion(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	recorded := make(map[string]string)
	for _, setting := range info.Settings {
		recorded[setting.Key] = setting.Value
	}
	revision := recorded["vcs.revision"]
	if revision == "" {
		return unreleased
	}
	text := unreleased + "-" + revision[:min(len(revision), 12)]
	if recorded["vcs.modified"] == "true" {
		text += "+dirty"
	}
	return text
}

func versionCommand(p process) *ffcli.Command {
	return newSettings("version", p).command(ffcli.Command{
		ShortUsage: "logstreamer version",
		ShortHelp:  "print the version",
	}, func() error { return nil }, func(context.Context) error {
		_, err := fmt.Fprintf(p.stdout, "logstreamer %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	})
}
