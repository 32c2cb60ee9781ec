package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/simulate"
)

// simulateFlags are the flags of simulate that are no settings of a distributor.
type simulateFlags struct{ trace, against, pace string }

// simulateCommand runs the tests of a configuration, or a trace.
func simulateCommand(p process) *ffcli.Command {
	loader := newDistributorLoader(p)
	var flags simulateFlags
	c := newCommand(p, ffcli.Command{
		Name:       "simulate",
		ShortUsage: "logstreamer simulate -config FILE [-trace FILE] [-against random,wrr,least] [-pace ID=N/s,…] [flags]",
		ShortHelp:  "run a configuration's tests, or a recorded trace, in virtual time; exits with 1 when a test fails or a pick differs",
	}, loader, func(ctx context.Context, loaded *config.Loaded[control.Config]) error {
		newDiagnostics(p, loader, loaded, loaded.Config.Log)
		return simulateAll(ctx, p, loader.File, loaded.Config.Distributor.WithDefaults(), flags)
	})
	addConfigFlag(c, loader)
	c.FlagSet.StringVar(&flags.trace, "trace", "", "recorded trace (logstreamer-trace/1): compare its picks, and simulate its packets")
	c.FlagSet.StringVar(&flags.against, "against", "", "policies to compare with in the trace: "+strings.Join(simulate.Others(), ","))
	c.FlagSet.StringVar(&flags.pace, "pace", "", "messages per second of analyzers in the trace, such as a1=2000/s,a2=500/s (default: no limit)")
	return c
}

func simulateAll(ctx context.Context, p process, file string, role distributor.Config, flags simulateFlags) error {
	c, paced := simulateConfig(role), simulateConfig(role)
	if flags.pace != "" {
		if err := paced.SetPaces(flags.pace); err != nil {
			return usageError{fmt.Errorf("-pace: %w", err)}
		}
	}
	policies, err := parsePolicies(flags.against)
	if err != nil {
		return usageError{err}
	}
	tests, err := readTests(file, c)
	if err != nil {
		return usageError{err}
	}
	switch {
	case flags.trace == "" && len(tests) == 0:
		return usageError{errors.New("there is nothing to simulate: give -trace FILE, or a -config FILE with tests")}
	case flags.trace == "" && flags.against+flags.pace != "":
		return usageError{errors.New("-against and -pace go with -trace; in tests the pace is an event")}
	}
	failures := runTests(ctx, p, c, tests)
	if flags.trace != "" {
		failures = errors.Join(failures, simulateTrace(ctx, p, paced, flags.trace, policies))
	}
	return failures
}

// simulateConfig returns the part of a distributor's configuration that is simulated.
func simulateConfig(role distributor.Config) simulate.Config {
	c := simulate.Config{
		Upstream: role.Analyzer, Strict: role.Routing == distributor.RoutingStrict,
		Stores: role.Journal != distributor.JournalMemory, QueuePackets: role.Memory.QueuePackets,
	}
	for _, t := range role.Targets {
		c.Analyzers = append(c.Analyzers, simulate.Analyzer{ID: t.ID, Weight: t.Weight})
	}
	return c
}

// parsePolicies returns the router's policy and those to compare it with.
func parsePolicies(against string) ([]string, error) {
	policies := []string{simulate.Fair}
	if against == "" {
		return policies, nil
	}
	for policy := range strings.SplitSeq(against, ",") {
		policy = strings.TrimSpace(policy)
		if !slices.Contains(simulate.Others(), policy) {
			return nil, fmt.Errorf("-against: unknown policy %q; known are %s", policy, strings.Join(simulate.Others(), ", "))
		}
		policies = append(policies, policy)
	}
	return policies, nil
}

// readTests returns the tests in a configuration file, if there is one.
func readTests(file string, c simulate.Config) ([]simulate.Test, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("-config: %w", err)
	}
	return simulate.ParseTests(content, file, c)
}

// runTests prints the result of each test. It returns an error if one failed.
func runTests(ctx context.Context, p process, c simulate.Config, tests []simulate.Test) error {
	failed := 0
	for _, test := range tests {
		result, err := test.Run(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", test.Name, err)
		}
		if len(result.Failures) == 0 {
			_, _ = fmt.Fprintf(p.stdout, "ok    %s (%d packets)\n", test.Name, result.Result.Accepted)
			continue
		}
		failed++
		_, _ = fmt.Fprintf(p.stdout, "FAIL  %s\n", test.Name)
		for _, failure := range result.Failures {
			_, _ = fmt.Fprintf(p.stdout, "      %s\n", failure)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d tests failed", failed, len(tests))
	}
	return nil
}

// simulateTrace prints a table of what came of the trace's packets with each policy, and
// whether its picks are as recorded.
func simulateTrace(ctx context.Context, p process, c simulate.Config, file string, policies []string) error {
	source, err := os.Open(file)
	if err != nil {
		return usageError{fmt.Errorf("-trace: %w", err)}
	}
	defer source.Close() //nolint:errcheck // it is read
	trace, err := simulate.ReadTrace(source)
	if err != nil {
		return usageError{fmt.Errorf("-trace %s: %w", file, err)}
	}
	var results []simulate.Result
	for _, policy := range policies {
		s, err := simulate.New(c, policy, 1)
		if err != nil {
			return err
		}
		result, err := s.Run(ctx, trace.Arrivals, trace.Events(c))
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	if err := simulate.WriteTable(p.stdout, results); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(p.stdout, trace.Replay)
	if !trace.Replay.Exact() {
		return errors.New("the picks of the trace are not all as recorded")
	}
	return nil
}
