package main

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
)

// foreign are variables that other programs and platforms set by these very
// names and that are close to one of ours.
var foreign = []string{
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", // systemd
	"JOURNAL_STREAM", // systemd
	"MEMORY_LIMIT",   // Kubernetes' downward API, by custom
}

// serviceLink is what Kubernetes and Docker set for each service.
var serviceLink = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT_[0-9]+_(TCP|UDP|SCTP)(_|$)`)

// linkAddress is the value of NAME_PORT among them.
var linkAddress = regexp.MustCompile(`^(tcp|udp|sctp)://`)

// prefixes are what users may put before the names of settings.
var prefixes = []string{"LOGSTREAMER_", "DISTRIBUTOR_", "ANALYZER_", "EMITTER_"}

// mistyped returns a sentence for each variable of the environment that is
// likely meant to be one of the settings and is none. The names of other
// commands' settings are no mistakes: one environment may serve several.
func (s *settings) mistyped(environ []string) []string {
	var known []string
	for _, one := range s.list {
		known = append(known, one.env)
	}
	var found []string
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if value == "" || s.names[name] || slices.Contains(foreign, name) ||
			serviceLink.MatchString(name) || linkAddress.MatchString(value) {
			continue
		}
		if meant, ok := meantSetting(name, known); ok && !s.isSameAs(name, meant, value) {
			found = append(found, fmt.Sprintf("%s is set and not known; did you mean %s?", name, meant))
		}
	}
	slices.Sort(found)
	return found
}

func meantSetting(name string, known []string) (string, bool) {
	for _, prefix := range prefixes {
		if rest, ok := strings.CutPrefix(name, prefix); ok && slices.Contains(known, rest) {
			return rest, true
		}
	}
	if len(name) <= 4 && name != strings.ToUpper(name) {
		return "", false
	}
	return similar(name, known)
}

// isSameAs tells that the system does not distinguish the two names' cases.
func (s *settings) isSameAs(name, meant, value string) bool {
	got, ok := s.getenv(meant)
	return ok && got == value && strings.EqualFold(name, meant)
}

// warnOfTypos logs what mistyped finds.
func (s *settings) warnOfTypos(logger *slog.Logger) {
	for _, sentence := range s.mistyped(s.environ()) {
		logger.Warn(sentence)
	}
}
