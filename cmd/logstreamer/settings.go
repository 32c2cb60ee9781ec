package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// settings are a command's flags, each with its environment variable and its
// key in the configuration file. Precedence: defaults, file, environment,
// flags.
type settings struct {
	process
	set      *flag.FlagSet
	list     []setting
	file     *string
	explicit map[string]bool // flags set by the command line or the environment
}

// setting is one flag. Its key in the file is the lower-case name of the
// environment variable.
type setting struct {
	name, env string
}

func (s setting) key() string { return strings.ToLower(s.env) }

func newSettings(name string, p process) *settings {
	return &settings{process: p, set: newFlagSet(name, p), explicit: make(map[string]bool)}
}

// add declares a setting. Its default is the current value.
func (s *settings) add(value flag.Value, name, env, help string) {
	s.set.Var(value, name, help)
	s.list = append(s.list, setting{name, env})
	s.names[env] = true
}

// addFlag declares a flag without environment variable.
func (s *settings) addFlag(value flag.Value, name, help string) { s.set.Var(value, name, help) }

// addConfigFlag declares -config.
func (s *settings) addConfigFlag() {
	s.file = s.set.String("config", "", "YAML file with these settings by their environment names in lower case")
}

// resolve applies the environment and the file to the parsed flags.
func (s *settings) resolve() error {
	s.set.Visit(func(f *flag.Flag) { s.explicit[f.Name] = true })
	for _, one := range s.list {
		text, ok := s.getenv(one.env)
		if s.explicit[one.name] || !ok || text == "" {
			continue
		}
		if err := s.set.Set(one.name, text); err != nil {
			return usageError{fmt.Errorf("the environment's %s=%q: %w", one.env, text, err)}
		}
		s.explicit[one.name] = true
	}
	if s.file == nil || *s.file == "" {
		return nil
	}
	content, err := os.ReadFile(*s.file)
	if err != nil {
		return usageError{fmt.Errorf("-config: %w", err)}
	}
	entries, err := readFile(content)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", *s.file, err)}
	}
	return s.apply(entries)
}

// apply applies the file to settings not set elsewhere. All entries are
// validated.
func (s *settings) apply(entries []entry) error {
	for _, e := range entries {
		one, ok := s.byKey(e.key)
		if !ok {
			return usageError{fmt.Errorf("%s:%d: unknown key %s", *s.file, e.line, unknownWord(e.key, s.keys()))}
		}
		value := s.set.Lookup(one.name).Value
		before := value.String()
		if err := e.applyTo(value); err != nil {
			return usageError{fmt.Errorf("%s:%w", *s.file, err)}
		}
		if s.explicit[one.name] {
			if err := value.Set(before); err != nil {
				return usageError{fmt.Errorf("%s: %w", one.env, err)}
			}
		}
	}
	return nil
}

func (s *settings) byKey(key string) (setting, bool) {
	for _, one := range s.list {
		if one.key() == key {
			return one, true
		}
	}
	return setting{}, false
}

func (s *settings) keys() []string {
	var keys []string
	for _, one := range s.list {
		keys = append(keys, one.key())
	}
	return keys
}

// unknownWord describes an unknown word, with the closest match and the known
// ones.
func unknownWord(word string, known []string) string {
	if intended, ok := closestMatch(word, known); ok {
		return fmt.Sprintf("%q; did you mean %s? Known are %s", word, intended, strings.Join(known, ", "))
	}
	return fmt.Sprintf("%q; known are %s", word, strings.Join(known, ", "))
}

// command completes a command: it resolves the settings, validates them and
// runs.
func (s *settings) command(c ffcli.Command, validate func() error, run func(context.Context) error) *ffcli.Command {
	c.Name = s.set.Name()
	c.FlagSet, c.UsageFunc = s.set, s.usage
	c.Exec = func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("unexpected argument %q", args[0])}
		}
		if err := s.resolve(); err != nil {
			return err
		}
		if err := validate(); err != nil {
			return usageError{err}
		}
		return run(ctx)
	}
	return &c
}

// service is command for a role that runs until it is stopped, with a log.
func (s *settings) service(c ffcli.Command, log *logging, validate func() error, run func(context.Context, *slog.Logger) error) *ffcli.Command {
	return s.command(c, validate, func(ctx context.Context) error {
		diagnostics := log.diagnostics(s.stderr)
		s.warnOfTypos(diagnostics)
		defer ignoreHangups(diagnostics)()
		return run(ctx, log.logger(s.stderr))
	})
}
