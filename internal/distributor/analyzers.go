package distributor

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
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

// name gives each analyzer its id: its host's name, or its position where that
// is no name or not the only one.
func name(targets []Target) {
	seen := make(map[string]int)
	for _, t := range targets {
		seen[hostOf(t.URL)]++
	}
	for i := range targets {
		host := hostOf(targets[i].URL)
		if !isName(host) || seen[host] > 1 {
			host = fmt.Sprintf("analyzer-%d", i+1)
			for seen[host] > 0 { // a host that is called so
				host += "-at-" + strconv.Itoa(i+1)
			}
		}
		targets[i].ID = host
	}
}

func hostOf(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return strings.ToLower(parsed.Hostname())
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
