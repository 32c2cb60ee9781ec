package main

import "strings"

// similar returns the word of the list that a mistyped one most likely means.
func similar(text string, list []string) (best string, ok bool) {
	distance := maxTypos + 1
	for _, word := range list {
		if strings.EqualFold(text, word) {
			return word, true
		}
		if d := typos(text, word); d < distance && isTypo(text, word, d) {
			best, distance = word, d
		}
	}
	if best != "" {
		return best, true
	}
	for _, word := range list { // the unit was forgotten, or another one taken
		if stem := withoutUnit(word); stem != word && strings.EqualFold(withoutUnit(text), stem) {
			return word, true
		}
	}
	return "", false
}

// maxTypos is the distance up to which two long words count as one mistyped.
const maxTypos = 3

// isTypo tells whether words at that distance are likely meant to be the same.
// Short words are close to many others, so there only letters may be swapped.
func isTypo(text, word string, distance int) bool {
	switch length := min(len(text), len(word)); {
	case len(word) <= 4:
		return distance <= 1 && len(text) == len(word) && sameLetters(text, word)
	case length <= 6:
		return distance <= 1
	case commonPrefix(text, word) >= 8:
		return distance <= maxTypos
	default:
		return distance <= 2
	}
}

func sameLetters(a, b string) bool {
	for _, letter := range a {
		if strings.Count(a, string(letter)) != strings.Count(b, string(letter)) {
			return false
		}
	}
	return true
}

func commonPrefix(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// unitSuffixes end the names of settings, or what users take for it.
var unitSuffixes = []string{"_milliseconds", "_seconds", "_bytes", "_size", "_msec", "_secs", "_sec", "_mib", "_mb", "_gb", "_ms", "_s"}

func withoutUnit(name string) string {
	for _, unit := range unitSuffixes {
		if at := len(name) - len(unit); at > 0 && strings.EqualFold(name[at:], unit) {
			return name[:at]
		}
	}
	return name
}

// typos counts the letters to insert, remove, replace, or swap with the next
// one, to make one word of the other: the optimal string alignment distance.
func typos(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
