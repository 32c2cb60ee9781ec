//go:build linux

// Command bench measures the distributor side by side with HAProxy, nginx and
// the OpenTelemetry Collector, and its inputs with vlagent, rsyslog and
// syslog-ng, too: the processor time per packet of the program under test, and
// the other targets in docs/performance.md.
//
// One thread is the load and all analyzers, on its own core; the program under
// test has the other core. Subjects alternate round by round, so that
// disturbances of the machine affect all. Processor time is the kernel's
// accounting of the program's threads. Every accepted packet must arrive at an
// analyzer with the bytes it was sent with: a run that lost or changed one
// shows no figure and fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// options are the command line flags.
type options struct {
	rounds              int
	round               time.Duration
	only                *regexp.Regexp
	before              string // path of another build of the distributor
	profile             string // path of the profile to write
	json, markdown, svg string
}

func main() {
	o, err := parseOptions(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(exitDone)
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitUsage)
	}
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore)
	if err := run(ctx, o); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitFailed)
	}
}

func parseOptions(arguments []string, output io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of each subject in each case")
	flags.DurationVar(&o.round, "round", 1500*time.Millisecond, "length of a round; sweeps use two fifths of it")
	only := flags.String("case", "", "run the cases whose name matches this `regexp`: "+strings.Join(caseNames(), ", "))
	flags.StringVar(&o.before, "before", "", "measure the distributor alone, against another build of it, the program in this `file`")
	flags.StringVar(&o.profile, "profile", "", "run the distributor alone and write a profile of its processor time to this `file`, such as cmd/logstreamer/default.pgo, by which the compiler optimizes it")
	flags.StringVar(&o.json, "json", "", "write everything as JSON to this `file`")
	flags.StringVar(&o.markdown, "markdown", "", "write the tables to this Markdown `file`, between its marks")
	flags.StringVar(&o.svg, "svg", "", "draw the results into this SVG `file`")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.rounds < 1:
		return o, fmt.Errorf("-rounds is %d: it must be at least 1", o.rounds)
	case o.profile != "" && o.before != "":
		return o, errors.New("-profile and -before exclude each other")
	case o.round < 100*time.Millisecond:
		return o, fmt.Errorf("-round is %v: it must be at least 100ms", o.round)
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-case: %w", err)
	}
	if !slices.ContainsFunc(caseNames(), o.only.MatchString) {
		return o, fmt.Errorf("-case %q matches none of %s", *only, strings.Join(caseNames(), ", "))
	}
	return o, nil
}

func caseNames() []string {
	var names []string
	for _, c := range cases() {
		names = append(names, c.name)
	}
	return names
}

func run(ctx context.Context, o options) error {
	cores, err := pinToCores()
	if err != nil {
		return err
	}
	// The load runs in this thread, which is bound to its core.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := raiseFileLimit(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "logstreamer-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	a, err := newTestbed(ctx, o, cores, dir)
	if err != nil {
		return err
	}
	defer a.loop.close()
	report, err := measureCases(a, o)
	if err != nil {
		return err
	}
	if err := publish(report, o); err != nil {
		return err
	}
	if o.profile != "" {
		if err := mergeProfiles(dir, o.profile); err != nil {
			return fmt.Errorf("-profile: %w", err)
		}
	}
	if faults := report.faults(); len(faults) > 0 {
		return fmt.Errorf("%d of the series are invalid; the first: %s: %s", len(faults), faults[0].Subject, faults[0].Fault)
	}
	return nil
}

// newTestbed builds the distributor in a directory and returns a testbed for it.
func newTestbed(ctx context.Context, o options, cores []int, dir string) (*testbed, error) {
	distributor := filepath.Join(dir, "logstreamer")
	var buildFlags []string
	if o.profile != "" {
		buildFlags = profileBuild
	}
	if err := buildDistributor(ctx, distributor, cores, buildFlags...); err != nil {
		return nil, err
	}
	events, err := newLoop(ctx.Done())
	if err != nil {
		return nil, err
	}
	return &testbed{
		loop: events, ledger: &ledger{}, cores: cores, dir: dir, distributor: distributor,
		rounds: o.rounds, round: o.round, timeout: 10 * time.Second,
	}, nil
}

func measureCases(a *testbed, o options) (Report, error) {
	report := Report{Time: time.Now(), Machine: thisMachine(len(a.cores)), Rounds: o.rounds, RoundSeconds: o.round.Seconds()}
	for _, c := range cases() {
		if !o.only.MatchString(c.name) {
			continue
		}
		switch {
		case o.profile != "":
			c = distributorsOnly(c, func(s subject) []subject { return []subject{profiled(s, a.dir)} })
		case o.before != "":
			c = againstBaseline(c, o.before)
		}
		one := CaseReport{Name: c.name, Title: c.title, measure: c.measure, base: c.base}
		for _, e := range c.experiments {
			_, _ = fmt.Fprintln(os.Stderr, strings.TrimSpace(c.name+" "+e.step))
			result, err := a.run(e)
			if err != nil {
				return report, err
			}
			one.Results = append(one.Results, result)
		}
		for _, check := range c.checks {
			one.Verdicts = append(one.Verdicts, check(one.Results))
		}
		report.Cases = append(report.Cases, one)
	}
	return report, nil
}

// publish writes the report to the outputs in o.
func publish(r Report, o options) error {
	failed := []error{writeText(os.Stdout, r)}
	for path, write := range map[string]func(io.Writer, Report) error{o.json: writeJSON, o.svg: writeChart} {
		if path == "" {
			continue
		}
		file, err := os.Create(path)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		failed = append(failed, write(file, r), file.Close())
	}
	if o.markdown != "" {
		failed = append(failed, writeDocument(o.markdown, r))
	}
	return errors.Join(failed...)
}

// buildDistributor builds the distributor from this checkout.
func buildDistributor(ctx context.Context, path string, cores []int, flags ...string) error {
	arguments := append([]string{"build", "-o", path}, flags...)
	command := exec.CommandContext(ctx, "go", append(arguments, "github.com/logstreamer/logstreamer/cmd/logstreamer")...)
	var output []byte
	err := onCores(cores, func() (err error) {
		output, err = command.CombinedOutput()
		return err
	})
	if err != nil {
		return fmt.Errorf("build the distributor: %w: %s", err, output)
	}
	return nil
}
