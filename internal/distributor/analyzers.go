package distributor

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// Target is one analyzer of the configuration.
type Target struct {
	URL    string  `key:"url" required:"the analyzer's URL is needed, such as http://analyzer-1:9001" help:"base URL, such as http://analyzer-1:9001; docs/backends.md lists the schemes of other backends and their options"`
	Weight float64 `key:"weight" min:">0" allowed:"a positive number" required:"a positive number is needed: the analyzer's share of all messages, such as 0.5" help:"share of all messages, such as 0.5"`
	// ID names the analyzer; if empty, the id is its host's name or its position.
	ID string `key:"id" pattern:"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$" allowed:"1 to 64 letters, digits, '.', '_' and '-', no '.' first" help:"name in metrics and answers; by default the host of the URL"`
	// State is StateReady, StateDrain or StateMaint; empty means ready.
	State string `key:"state" enum:"ready,drain,maint" help:"ready (default), drain (no new packets: it delivers what it holds) or maint (what it holds is rerouted at once, no probes)"`
	// TLS is the TLS of an https URL, where it differs from Config.AnalyzerTLS.
	TLS certificate.ClientConfig
}

// The states of an analyzer.
const (
	StateReady = "ready"
	StateDrain = "drain"
	StateMaint = "maint"
)

// sameAnalyzer reports whether a target of the next configuration is the same analyzer: it is equal
// except for weight, state and TLS.
func (t Target) sameAnalyzer(next Target) bool {
	t.Weight, t.State, t.TLS = next.Weight, next.State, next.TLS
	t.URL, next.URL = placeOf(t.URL), placeOf(next.URL)
	return t == next
}

// tlsPrefix is the prefix of errors about the TLS files of the analyzer.
func (t Target) tlsPrefix() string { return "ANALYZERS: " + t.URL + ": " }

// Targets are the analyzers of the configuration.
type Targets []Target

// String returns the URLs and weights as UnmarshalText parses them.
func (t Targets) String() string {
	var parts []string
	for _, one := range t {
		parts = append(parts, one.URL+"="+strconv.FormatFloat(one.Weight, 'g', -1, 64))
	}
	return strings.Join(parts, ",")
}

// UnmarshalText parses URL=weight,URL=weight,… The last = of each item separates the weight, since
// a URL may contain the character. A text with a password becomes a URL without it, which Validate
// rejects, so that no output of the text shows the password.
func (t *Targets) UnmarshalText(text []byte) error {
	if strings.Contains(string(text), "@") {
		*t = Targets{{URL: sink.WithoutUser(string(text))}}
		return nil
	}
	var targets Targets
	var wrong []string
	for part := range strings.SplitSeq(string(text), ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		target, err := parseTarget(part)
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		targets = append(targets, target)
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	if len(targets) == 0 {
		return fmt.Errorf("at least one analyzer is needed, such as http://analyzer-1:9001=0.5")
	}
	*t = targets
	return nil
}

// parseTarget parses URL=weight.
func parseTarget(text string) (Target, error) {
	at := strings.LastIndexByte(text, '=')
	if at < 0 {
		return Target{}, fmt.Errorf("%q lacks a weight: write URL=weight, such as http://analyzer-1:9001=0.5", text)
	}
	weight, err := strconv.ParseFloat(strings.TrimSpace(text[at+1:]), 64)
	if err != nil || !(weight > 0) || math.IsInf(weight, 0) {
		return Target{}, fmt.Errorf("%q: the weight %q must be a positive number", text, text[at+1:])
	}
	return Target{URL: strings.TrimSpace(text[:at]), Weight: weight}, nil
}

// WithIDs returns the analyzers as withOwnIDs does, except that an analyzer without an id keeps the
// id that the current analyzer at its URL has. A new analyzer gets no id of a current analyzer,
// whether or not that is in t, so that no id passes to another analyzer by position.
func (t Targets) WithIDs(current Targets) Targets {
	t = slices.Clone(t)
	named := func(id string) bool {
		return slices.ContainsFunc(t, func(one Target) bool { return one.ID == id })
	}
	for i := range t {
		place := placeOf(t[i].URL)
		at := slices.IndexFunc(current, func(one Target) bool { return placeOf(one.URL) == place })
		if t[i].ID == "" && at >= 0 && !named(current[at].ID) {
			t[i].ID = current[at].ID
		}
	}
	var gone Targets
	for _, one := range current {
		if !named(one.ID) {
			gone = append(gone, one)
		}
	}
	return append(gone, t...).withOwnIDs()[len(gone):]
}

// withOwnIDs returns the analyzers with ids, and URLs without the last slash. An analyzer without
// an id gets its host's name, or its position if the host has no name or the name is not unique.
// Given ids and names have priority: if the position of an analyzer equals one of them, the
// analyzer gets another id.
func (t Targets) withOwnIDs() Targets {
	t = slices.Clone(t)
	uses := make(map[string]int) // given ids and names of hosts
	for i := range t {
		t[i].URL = strings.TrimSuffix(strings.TrimSpace(t[i].URL), "/")
		t[i].State = cmp.Or(t[i].State, StateReady)
		if id := cmp.Or(t[i].ID, hostOf(t[i].URL)); t[i].ID != "" || isName(id) {
			uses[id]++
		}
	}
	given := func(id string) bool {
		return slices.ContainsFunc(t, func(one Target) bool { return one.ID == id })
	}
	for i := range t {
		if t[i].ID != "" {
			continue
		}
		id := hostOf(t[i].URL)
		if uses[id] != 1 {
			for id = fmt.Sprintf("analyzer-%d", i+1); uses[id] == 1 || given(id); {
				id += "-at-" + strconv.Itoa(i+1)
			}
		}
		t[i].ID = id
	}
	return t
}

// validateTargets returns the errors of all analyzers. An analyzer that is listed twice would get
// its share twice, and its failures would count as failures of two analyzers.
func (c Config) validateTargets() error {
	targets := c.Targets.withOwnIDs()
	if len(targets) > fairshare.MaxMembers {
		return config.Refuse("analyzers", len(targets), fmt.Sprintf("at most %d analyzers", fairshare.MaxMembers),
			"ANALYZERS lists %d analyzers: there may be %d", len(targets), fairshare.MaxMembers)
	}
	var errs []error
	report := func(key string, value any, allowed, format string, args ...any) {
		errs = append(errs, config.Refuse(key, value, allowed, "ANALYZERS: "+format, args...))
	}
	ids, places := make(map[string]string), make(map[string]int)
	for i, t := range targets {
		if _, err := t.backend(); err != nil {
			errs = append(errs, &config.ValueError{Key: "url", Allowed: "a URL such as http://host:port, without user and password", Err: err})
			continue // the error must not show its URL
		}
		place := placeOf(t.URL)
		if before, again := places[place]; again {
			report("url", t.URL, "a URL that no other analyzer has", "%q is listed twice, as analyzer %d and %d: it may be once, with the sum of the weights", t.URL, before+1, i+1)
		}
		if other, taken := ids[t.ID]; taken {
			report("id", t.ID, "an id that no other analyzer has", "%s and %s have the same id %q: ids must differ", other, t.URL, t.ID)
		}
		if !(t.Weight > 0 && t.Weight <= fairshare.MaxWeight) {
			report("weight", t.Weight, fmt.Sprintf("a number above 0 and at most %g", float64(fairshare.MaxWeight)), "%s=%g: the weight must be above 0 and at most %g", t.URL, t.Weight, float64(fairshare.MaxWeight))
		}
		if t.State != StateReady && t.State != StateDrain && t.State != StateMaint {
			report("state", t.State, "one of ready, drain, maint", "%s has the state %q: it must be one of ready, drain, maint", t.URL, t.State)
		}
		if t.TLS != (certificate.ClientConfig{}) && !sink.HasTLS(t.URL) {
			report("url", t.URL, "an https URL with ca, cert, key or server_name", "%s: it must be an https URL to have ca, cert, key or server_name", t.URL)
		}
		if err := t.TLS.Validate(t.tlsPrefix()); err != nil {
			errs = append(errs, err)
		}
		places[place], ids[t.ID] = i, t.URL
	}
	return errors.Join(errs...)
}

// placeOf returns a key that is equal for all spellings of a URL.
func placeOf(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return text
	}
	host, port := hostOf(text), parsed.Port()
	if address, err := netip.ParseAddr(host); err == nil {
		host = address.Unmap().String()
	}
	scheme := strings.ToLower(parsed.Scheme)
	switch {
	case port != "":
	case sink.HasTLS(text):
		port = "443"
	default:
		port = "80"
	}
	if number, err := strconv.Atoi(port); err == nil {
		port = strconv.Itoa(number) // port 080 is 80
	}
	place := scheme + "://" + net.JoinHostPort(host, port) + strings.TrimRight(parsed.EscapedPath(), "/")
	if options := parsed.Query(); len(options) > 0 {
		place += "?" + options.Encode() // two indices of one backend, for example
	}
	return place
}

func hostOf(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(parsed.Hostname(), "."))
}

func isName(host string) bool {
	_, err := netip.ParseAddr(host)
	return host != "" && host != "localhost" && err != nil
}

// WeightSum returns the sum of the weights, and whether it is about 1.
func (t Targets) WeightSum() (sum float64, fine bool) {
	for _, one := range t {
		sum += one.Weight
	}
	rounded := math.Round(sum*1e6) / 1e6 // 0.6 and 0.3 are 0.8999999999999999
	return sum, rounded >= 0.9 && rounded <= 1.1
}
