package ctl

import (
	"errors"
	"flag"
	"time"
)

// flags are the values of a command's flags.
type flags struct {
	json, dryRun, wait, force, follow, all, bodies bool

	ttl, deadline, duration time.Duration

	reason, emitter, analyzer, filterReason, level, stage string

	ifMatch, after, expect, limit, messages, packets, past, sample int64

	rate float64
}

// flagCatalog declares each flag once.
var flagCatalog = map[string]struct {
	value func(*flags) any
	help  string
}{
	"json":          {func(f *flags) any { return &f.json }, "print the server's JSON"},
	"dry-run":       {func(f *flags) any { return &f.dryRun }, "change nothing and show what the change would do"},
	"wait":          {func(f *flags) any { return &f.wait }, "wait for the end, print the proof, and fail unless all packets are accounted for"},
	"force":         {func(f *flags) any { return &f.force }, "take out the last ready analyzer, too"},
	"follow":        {func(f *flags) any { return &f.follow }, "continue with new ones until interrupted"},
	"all":           {func(f *flags) any { return &f.all }, "all overrides"},
	"bodies":        {func(f *flags) any { return &f.bodies }, "show the packets; needs the role operate, and is audited"},
	"ttl":           {func(f *flags) any { return &f.ttl }, "after which the change reverts itself; 0s: never"},
	"deadline":      {func(f *flags) any { return &f.deadline }, "after which the packets that are left go to other analyzers; 0s: the server's default"},
	"for":           {func(f *flags) any { return &f.duration }, "how long to record; 0s: the server's default"},
	"reason":        {func(f *flags) any { return &f.reason }, "why, for events and the audit log"},
	"emitter":       {func(f *flags) any { return &f.emitter }, "only packets of this emitter"},
	"analyzer":      {func(f *flags) any { return &f.analyzer }, "only packets of this analyzer"},
	"filter-reason": {func(f *flags) any { return &f.filterReason }, "only dead letters with this reason, such as invalid_packet"},
	"level":         {func(f *flags) any { return &f.level }, "only packets with a message of at least this level"},
	"stage":         {func(f *flags) any { return &f.stage }, "only accepted, delivered, dead_lettered or refused ones"},
	"if-match":      {func(f *flags) any { return &f.ifMatch }, "change only this revision of the configuration; 0: any"},
	"after":         {func(f *flags) any { return &f.after }, "only events after the one with this id"},
	"expect":        {func(f *flags) any { return &f.expect }, "how many dead letters there must be; -1: not known"},
	"limit":         {func(f *flags) any { return &f.limit }, "how many to show; 0: the server's default"},
	"messages":      {func(f *flags) any { return &f.messages }, "messages of each packet"},
	"n":             {func(f *flags) any { return &f.packets }, "how many packets; 0: the server's default"},
	"past":          {func(f *flags) any { return &f.past }, "how many recorded decisions to begin with"},
	"sample":        {func(f *flags) any { return &f.sample }, "one of N packets; 0: the server's default"},
	"rate":          {func(f *flags) any { return &f.rate }, "packets a second; 0: the server's default"},
}

// declare declares the named flags with their defaults.
func (f *flags) declare(set *flag.FlagSet, names []string) {
	*f = flags{expect: -1, messages: 1}
	for _, name := range names {
		one := flagCatalog[name]
		switch value := one.value(f).(type) {
		case *bool:
			set.BoolVar(value, name, *value, one.help)
		case *time.Duration:
			set.DurationVar(value, name, *value, one.help)
			explain(set.Lookup(name), "a duration such as 30s or 15m is needed")
		case *string:
			set.StringVar(value, name, *value, one.help)
		case *int64:
			set.Int64Var(value, name, *value, one.help)
			explain(set.Lookup(name), "a whole number is needed")
		case *float64:
			set.Float64Var(value, name, *value, one.help)
			explain(set.Lookup(name), "a number is needed")
		}
	}
}

// explainedValue is a flag.Value whose errors have what is allowed, as those of package flag do not.
type explainedValue struct {
	flag.Value
	needed error
}

func explain(f *flag.Flag, needed string) { f.Value = explainedValue{f.Value, errors.New(needed)} }

// Set sets the value to that of the text.
func (v explainedValue) Set(text string) error {
	if v.Value.Set(text) != nil {
		return v.needed
	}
	return nil
}

// ParseInterspersed parses flags among and behind arguments and returns the arguments. The
// flags before the first argument are parsed.
func ParseInterspersed(set *flag.FlagSet, args []string) ([]string, error) {
	var positional []string
	for len(args) > 0 {
		if args[0] == "--" {
			return append(positional, args[1:]...), nil
		}
		positional = append(positional, args[0])
		if len(args) > 1 && args[1] == "--" {
			return append(positional, args[2:]...), nil
		}
		if err := set.Parse(args[1:]); err != nil {
			return nil, err
		}
		args = set.Args()
	}
	return positional, nil
}
