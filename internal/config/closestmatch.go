package config

import (
	"fmt"
	"slices"
	"strings"
)

// ClosestMatch returns the word of the list that a mistyped one probably means.
func ClosestMatch(text string, list []string) (best string, ok bool) {
	distance := maxEditDistance + 1
	for _, word := range list {
		if strings.EqualFold(text, word) {
			return word, true
		}
		if d := editDistance(text, word); d < distance && isLikelyTypo(text, word, d) {
			best, distance = word, d
		}
	}
	if best != "" {
		return best, true
	}
	for _, word := range list { // the unit is missing or wrong
		if stem := withoutUnit(word); stem != word && strings.EqualFold(withoutUnit(text), stem) {
			return word, true
		}
	}
	return "", false
}

// maxEditDistance is the maximum edit distance of two long words that count as
// one mistyped.
const maxEditDistance = 3

// isLikelyTypo reports whether words at that distance probably mean the same. Because short words
// are close to many others, only transpositions count for them.
func isLikelyTypo(text, word string, distance int) bool {
	switch length := min(len(text), len(word)); {
	case len(word) <= 4:
		return distance <= 1 && len(text) == len(word) && sameLetters(text, word)
	case length <= 6:
		return distance <= 1
	case length >= 8 && text[:8] == word[:8]:
		return distance <= maxEditDistance
	default:
		return distance <= 2
	}
}

func sameLetters(a, b string) bool {
	return slices.Equal(slices.Sorted(slices.Values([]byte(a))), slices.Sorted(slices.Values([]byte(b))))
}

// unitSuffixes are suffixes of setting names and their common variants.
var unitSuffixes = []string{"_milliseconds", "_seconds", "_bytes", "_size", "_msec", "_secs", "_sec", "_mib", "_mb", "_gb", "_ms", "_s"}

func withoutUnit(name string) string {
	for _, unit := range unitSuffixes {
		if at := len(name) - len(unit); at > 0 && strings.EqualFold(name[at:], unit) {
			return name[:at]
		}
	}
	return name
}

// editDistance returns the optimal string alignment distance: the number of insertions, deletions,
// substitutions and transpositions of adjacent letters. If the distance exceeds maxEditDistance,
// the result is any number above it, which saves time: each start of the distributor compares all
// variables of the environment with all settings.
func editDistance(a, b string) int {
	const tooFar = maxEditDistance + 1
	if len(a)-len(b) > maxEditDistance || len(b)-len(a) > maxEditDistance {
		return tooFar
	}
	var memory [3 * 64]int
	width := len(b) + 1
	all := memory[:]
	if 3*width > len(all) {
		all = make([]int, 3*width)
	}
	// The current row, and the one and the two before it.
	row, above, second := all[:width], all[width:2*width], all[2*width:3*width]
	for j := range above {
		above[j] = j
	}
	leastAbove := 0
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			replace := above[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(above[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], second[j-2]+1)
			}
			least = min(least, row[j])
		}
		if min(least, leastAbove) > maxEditDistance {
			return tooFar
		}
		row, above, second, leastAbove = second, row, above, least
	}
	return above[len(b)]
}

// maxListedKeys is the maximum number of known keys that an error lists beside the closest match.
const maxListedKeys = 20

// unknownKey returns an error with the closest match and the known keys.
func unknownKey(key string, from Origin, known []Setting) error {
	var keys []string
	for _, s := range known {
		keys = append(keys, s.Key)
	}
	list := strings.Join(keys, ", ")
	hint := "known are " + list
	if intended, ok := ClosestMatch(key, keys); ok && len(keys) > maxListedKeys {
		hint = fmt.Sprintf("did you mean %s?", intended)
	} else if ok {
		hint = fmt.Sprintf("did you mean %s? Known are %s", intended, list)
	}
	object := strings.Replace(known[0].path, ".", ": ", 1)
	return Refuse(key, nil, list, "%v: %sunknown key %q; %s", from, object, key, hint)
}
