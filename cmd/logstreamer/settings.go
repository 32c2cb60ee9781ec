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

// settings are a command's flags, each with the environment variable and the
// key of the configuration file that set it too. The order is: defaults, file,
// environment, flags.
type settings struct {
	process
	set   *flag.FlagSet
	list  []setting
	file  *string
	given map[string]bool // flags that the command line or the environment set
}

// setting is one of them; its key in the file is the environment variable's
// name in small letters.
type setting struct {
	name, env string
}

func (s setting) key() string { return strings.ToLower(s.env) }

func newSettings(name string, p process) *settings {
	return &settings{process: p, set: newFlagSet(name, p), given: make(map[string]bool)}
}

// add declares a setting. Its default is what value holds.
func (s *settings) add(value flag.Value, name, env, help string) {
	s.set.Var(value, name, help)
	s.list = append(s.list, setting{name, env})
	s.names[env] = true
}

// addFlag declares what the command line alone says.
func (s *settings) addFlag(value flag.Value, name, help string) { s.set.Var(value, name, help) }

// withFile lets -config name a file.
func (s *settings) withFile() {
	s.file = s.set.String("config", "", "YAML file with these settings by their environment names in small letters")
}

// resolve completes the parsed flags from the environment and the file.
func (s *settings) resolve() error {
	s.set.Visit(func(f *flag.Flag) { s.given[f.Name] = true })
	for _, one := range s.list {
		text, ok := s.getenv(one.env)
		if s.given[one.name] || !ok || text == "" {
			continue
		}
		if err := s.set.Set(one.name, text); err != nil {
			return usageError{fmt.Errorf("the environment's %s=%q: %w", one.env, text, err)}
		}
		s.given[one.name] = true
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

// apply sets what the file says and nothing else has said. What it says is
// checked all the same.
func (s *settings) apply(entries []entry) error {
	for _, e := range entries {
		one, ok := s.byKey(e.key)
		if !ok {
			return usageError{fmt.Errorf("%s:%d: unknown key %s", *s.file, e.line, unknown(e.key, s.keys()))}
		}
		value := s.set.Lookup(one.name).Value
		before := value.String()
		if err := e.setTo(value); err != nil {
			return usageError{fmt.Errorf("%s:%w", *s.file, err)}
		}
		if s.given[one.name] {
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

// unknown says which word is not known, which one is most like it, and what
// there is.
func unknown(word string, known []string) string {
	if meant, ok := similar(word, known); ok {
		return fmt.Sprintf("%q; did you mean %s? Known are %s", word, meant, strings.Join(known, ", "))
	}
	return fmt.Sprintf("%q; known are %s", word, strings.Join(known, ", "))
}

// command completes a command: its settings are resolved, then validated, then
// it runs.
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

// service is command for a role: what runs until it is stopped, with a log.
func (s *settings) service(c ffcli.Command, log *logging, validate func() error, run func(context.Context, *slog.Logger) error) *ffcli.Command {
	return s.command(c, validate, func(ctx context.Context) error {
		notices := log.notices(s.stderr)
		s.warnOfTypos(notices)
		defer ignoreHangups(notices)()
		return run(ctx, log.logger(s.stderr))
	})
}
