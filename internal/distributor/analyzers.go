package distributor

import (
	"cmp"
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
		weight, err := ParseWeight(part[at+1:])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		targets = append(targets, Target{URL: strings.TrimSuffix(strings.TrimSpace(part[:at]), "/"), Weight: weight})
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("at least one analyzer is needed, such as http://analyzer-1:9001=0.5")
	}
	NameTargets(targets)
	return targets, nil
}

// ParseWeight reads an analyzer's weight.
func ParseWeight(text string) (float64, error) {
	weight, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || weight <= 0 || math.IsInf(weight, 0) || math.IsNaN(weight) {
		return 0, fmt.Errorf("the weight %q must be a positive number", text)
	}
	return weight, nil
}

// maxIDBytes bounds an id that is given.
const maxIDBytes = 64

// CheckID tells whether an analyzer may be given that id.
func CheckID(id string) error {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	if id == "" || len(id) > maxIDBytes || strings.Trim(id, allowed) != "" {
		return fmt.Errorf("the id %.100q must be 1 to %d letters, digits, '.', '_' and '-'", id, maxIDBytes)
	}
	return nil
}

// NameTargets gives each analyzer without an id its host's name, or its position
// where that is no name or not the only one.
func NameTargets(targets []Target) {
	seen := make(map[string]int)
	for _, t := range targets {
		seen[cmp.Or(t.ID, hostOf(t.URL))]++
	}
	for i := range targets {
		if targets[i].ID != "" {
			continue
		}
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
