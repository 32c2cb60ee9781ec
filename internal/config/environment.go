package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// foreignVariables are variables of other programs and platforms with names
// close to our settings.
var foreignVariables = []string{
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", // systemd
	"JOURNAL_STREAM", // systemd
	"MEMORY_LIMIT",   // Kubernetes' downward API, by convention
}

// serviceLink matches the variables that Kubernetes and Docker set for each service.
var serviceLink = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT_[0-9]+_(TCP|UDP|SCTP)(_|$)`)

// linkAddress matches the values of the variables NAME_PORT.
var linkAddress = regexp.MustCompile(`^(tcp|udp|sctp)://`)

// prefixes are prefixes that users may add to the names of settings.
var prefixes = []string{"LOGSTREAMER_", "DISTRIBUTOR_", "ANALYZER_", "EMITTER_"}

// MistypedVariables returns a warning for each environment variable that is probably a misspelled
// setting. known includes the settings of other commands, because one environment may serve several
// commands.
func (l *Loader[T]) MistypedVariables(environ []string, known map[string]bool) []string {
	var names []string
	for _, s := range l.Settings {
		names = append(names, s.Env)
	}
	var found []string
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if value == "" || known[name] || slices.Contains(foreignVariables, name) ||
			serviceLink.MatchString(name) || linkAddress.MatchString(value) {
			continue
		}
		if intended, ok := intendedSetting(name, names); ok && !l.isCaseVariant(name, intended, value) {
			found = append(found, fmt.Sprintf("%s is set and not known; did you mean %s?", name, intended))
		}
	}
	slices.Sort(found)
	return found
}

func intendedSetting(name string, known []string) (string, bool) {
	for _, prefix := range prefixes {
		if rest, ok := strings.CutPrefix(name, prefix); ok && slices.Contains(known, rest) {
			return rest, true
		}
	}
	if len(name) <= 4 && name != strings.ToUpper(name) {
		return "", false
	}
	return ClosestMatch(name, known)
}

// isCaseVariant reports whether the two names are equal on a system that ignores their case.
func (l *Loader[T]) isCaseVariant(name, intended, value string) bool {
	got, ok := l.getenv(intended)
	return ok && got == value && strings.EqualFold(name, intended)
}
