package distributor

import (
	"cmp"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/logstreamer/logstreamer/internal/sink"
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
		return nil, fmt.Errorf("%q: %w", sink.WithoutUser(text), sink.ErrUser)
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
// where that is no name or not the only one. An id that is given, or a name, comes
// first: an analyzer whose position would make it the same gets another one.
func NameTargets(targets []Target) {
	uses := make(map[string]int) // of ids that are given, and of hosts' names
	for _, t := range targets {
		if id := cmp.Or(t.ID, hostOf(t.URL)); t.ID != "" || isName(id) {
			uses[id]++
		}
	}
	given := func(id string) bool {
		return slices.ContainsFunc(targets, func(t Target) bool { return t.ID == id })
	}
	for i := range targets {
		if targets[i].ID != "" {
			continue
		}
		id := hostOf(targets[i].URL)
		if uses[id] != 1 {
			for id = fmt.Sprintf("analyzer-%d", i+1); uses[id] == 1 || given(id); {
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
