package distributor

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Target is one analyzer of the configuration.
type Target struct {
	ID     string
	URL    string
	Weight float64
}

// ParseTargets reads URL=weight,URL=weight,… The last = of each splits, since
// URLs may have some of their own.
func ParseTargets(text string) ([]Target, error) {
	if strings.Contains(text, "@") { // before any part of it is shown
		return nil, fmt.Errorf("%q: %w", upstream.WithoutUser(text), upstream.ErrUser)
	}
	var targets []Target
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		at := strings.LastIndexByte(part, '=')
		if at < 0 {
			return nil, fmt.Errorf("%q lacks a weight: write URL=weight, such as http://analyzer-1:9001=0.5", part)
		}
		weight, err := strconv.ParseFloat(strings.TrimSpace(part[at+1:]), 64)
		if err != nil || weight <= 0 || math.IsInf(weight, 0) || math.IsNaN(weight) {
			return nil, fmt.Errorf("%q: the weight %q must be a positive number", part, part[at+1:])
		}
		targets = append(targets, Target{URL: strings.TrimSuffix(strings.TrimSpace(part[:at]), "/"), Weight: weight})
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("at least one analyzer is needed, such as http://analyzer-1:9001=0.5")
	}
	name(targets)
	return targets, nil
}

// name gives each analyzer its id: its host's name, or its position where that is no
// name or not the only one. A name comes first: an analyzer whose position would make it
// that name's gets another id.
func name(targets []Target) {
	seen := make(map[string]int)
	for _, t := range targets {
		seen[hostOf(t.URL)]++
	}
	named := func(host string) bool { return isName(host) && seen[host] == 1 }
	for i := range targets {
		id := hostOf(targets[i].URL)
		if !named(id) {
			for id = fmt.Sprintf("analyzer-%d", i+1); named(id); {
				id += "-at-" + strconv.Itoa(i+1)
			}
		}
		targets[i].ID = id
	}
}

// validateDistinct refuses an analyzer that is listed twice: it would get its share
// twice, and its failures would be taken for those of two.
func validateDistinct(targets []Target) error {
	first := make(map[string]int)
	for i, t := range targets {
		place := placeOf(t.URL)
		if before, again := first[place]; again {
			return fmt.Errorf("ANALYZERS: %q is listed twice, as analyzer %d and %d: it may be once, with the sum of the weights", t.URL, before+1, i+1)
		}
		first[place] = i
	}
	return nil
}

// placeOf returns what all spellings of a URL have in common.
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
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	if number, err := strconv.Atoi(port); err == nil {
		port = strconv.Itoa(number) // 080 is 80
	}
	return scheme + "://" + net.JoinHostPort(host, port) + strings.TrimRight(parsed.EscapedPath(), "/")
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

// weightSum is what weights should come to, about.
func weightSum(targets []Target) (sum float64, fine bool) {
	for _, t := range targets {
		sum += t.Weight
	}
	return sum, sum >= 0.9 && sum <= 1.1
}
