package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// settings are a command's flags, each with the environment variable and the
// key of the configuration file that set it too. The order is: defaults, file,
// environment, flags.
type settings struct {
	set    *flag.FlagSet
	getenv func(string) (string, bool)
	list   []setting
	file   *string
}

// setting is one of them; its key in the file is the environment variable's
// name in small letters.
type setting struct {
	name, env string
}

func (s setting) key() string { return strings.ToLower(s.env) }

func newSettings(name string, p process) *settings {
	return &settings{set: newFlagSet(name, p), getenv: p.getenv}
}

// add declares a setting. Its default is what value holds.
func (s *settings) add(value flag.Value, name, env, help string) {
	s.set.Var(value, name, help)
	s.list = append(s.list, setting{name, env})
}

// withFile lets -config name a file.
func (s *settings) withFile() {
	s.file = s.set.String("config", "", "YAML `file` with these settings by their environment names in small letters")
}

// resolve completes the parsed flags from the environment and the file.
func (s *settings) resolve() error {
	given := make(map[string]bool)
	s.set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, one := range s.list {
		text, ok := s.getenv(one.env)
		if given[one.name] || !ok || text == "" {
			continue
		}
		if err := s.set.Set(one.name, text); err != nil {
			return usageError{fmt.Errorf("the environment's %s=%q: %w", one.env, text, err)}
		}
		given[one.name] = true
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
	return s.apply(entries, given)
}

// apply sets what the file says and nothing else has said. What it says is
// checked all the same.
func (s *settings) apply(entries []entry, given map[string]bool) error {
	for _, e := range entries {
		one, ok := s.byKey(e.key)
		if !ok {
			return usageError{fmt.Errorf("%s:%d: unknown key %q; known are %s", *s.file, e.line, e.key, strings.Join(s.keys(), ", "))}
		}
		value := s.set.Lookup(one.name).Value
		before := value.String()
		if err := value.Set(e.value); err != nil {
			return usageError{fmt.Errorf("%s:%d: %s: %q: %w", *s.file, e.line, e.key, e.value, err)}
		}
		if given[one.name] {
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

// usage prints flags, environment names and defaults.
func (s *settings) usage(c *ffcli.Command) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\nUsage: %s\n\n", strings.ToUpper(c.ShortHelp[:1])+c.ShortHelp[1:]+".", c.ShortUsage)
	if c.LongHelp != "" {
		fmt.Fprintf(&text, "%s\n\n", c.LongHelp)
	}
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	s.table(table)
	_ = table.Flush()
	return strings.TrimRight(text.String(), "\n")
}

func (s *settings) table(w io.Writer) {
	_, _ = fmt.Fprintln(w, "FLAG\tENVIRONMENT\tDEFAULT\tMEANING")
	env := make(map[string]string)
	for _, one := range s.list {
		env[one.name] = one.env
	}
	s.set.VisitAll(func(f *flag.Flag) {
		_, help := flag.UnquoteUsage(f)
		value := f.DefValue
		if value == "" {
			value = "none"
		}
		_, _ = fmt.Fprintf(w, "-%s\t%s\t%s\t%s\n", f.Name, env[f.Name], value, help)
	})
}
