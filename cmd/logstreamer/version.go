package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
)

// develVersion is the version of a build without one.
const develVersion = "dev"

// version is set at release by -ldflags "-X main.version=…".
var version = develVersion

// buildVersion returns the release version, else the module's version recorded
// by Go, or the revision.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if version != develVersion || !ok {
		return version
	}
	return moduleVersion(info)
}

func moduleVersion(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	recorded := make(map[string]string)
	for _, setting := range info.Settings {
		recorded[setting.Key] = setting.Value
	}
	revision := recorded["vcs.revision"]
	if revision == "" {
		return develVersion
	}
	text := develVersion + "-" + revision[:min(len(revision), 12)]
	if recorded["vcs.modified"] == "true" {
		text += "+dirty"
	}
	return text
}

func versionCommand(p process) *ffcli.Command {
	return newCommand(p, ffcli.Command{
		Name:       "version",
		ShortUsage: "logstreamer version",
		ShortHelp:  "print the version",
	}, newLoader(p, struct{}{}), func(context.Context, *config.Loaded[struct{}]) error {
		_, err := fmt.Fprintf(p.stdout, "logstreamer %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	})
}
