package elasticsearch

import "strings"

// The parts of a bulk response.
const (
	partTook = iota
	partErrors
	// The following parts are parts of items.
	partIndex
	partID
	partVersion
	partResult
	partShards
	partSeqNo
	partPrimaryTerm
	partStatus
	partError
	partCount
)

// partPaths are the paths of parts. The name of the operation is any name.
var partPaths = [partCount][]string{
	partTook: {"took"}, partErrors: {"errors"},
	partIndex: item("_index"), partID: item("_id"), partVersion: item("_version"), partResult: item("result"), partShards: item("_shards"),
	partSeqNo: item("_seq_no"), partPrimaryTerm: item("_primary_term"), partStatus: item("status"), partError: item("error"),
}

func item(name string) []string { return []string{"items", "", name} }

// filter selects the parts of a response.
type filter [partCount]bool

// filterOf returns the filter of the parameter filter_path: paths with * for any name and ** for
// any names, which select parts of the response or, after a minus sign, exclude them.
func filterOf(text string) (f filter) {
	var with, without [][]string
	for path := range strings.SplitSeq(text, ",") {
		if rest, excluded := strings.CutPrefix(path, "-"); excluded {
			without = append(without, strings.Split(rest, "."))
		} else if path != "" {
			with = append(with, strings.Split(path, "."))
		}
	}
	for n, part := range partPaths {
		f[n] = (len(with) == 0 || matchesAny(with, part)) && !matchesAny(without, part)
	}
	return f
}

// hasItems reports whether a response has items.
func (f *filter) hasItems() bool {
	for _, has := range f[partIndex:partError] {
		if has {
			return true
		}
	}
	return f[partError]
}

func matchesAny(patterns [][]string, part []string) bool {
	for _, pattern := range patterns {
		if matches(pattern, part) {
			return true
		}
	}
	return false
}

// matches reports whether a pattern matches a part, or an object that contains the part.
func matches(pattern, part []string) bool {
	switch {
	case len(pattern) == 0:
		return true
	case pattern[0] == "**" && len(pattern) > 1 && pattern[1] == "**": // one is enough, and each would multiply the work
		return matches(pattern[1:], part)
	case pattern[0] == "**":
		return matches(pattern[1:], part) || len(part) > 0 && matches(pattern, part[1:])
	case len(part) == 0:
		return false
	case pattern[0] != "*" && pattern[0] != part[0] && (part[0] != "" || !isOperation(pattern[0])):
		return false
	}
	return matches(pattern[1:], part[1:])
}

func isOperation(name string) bool {
	return name == "create" || name == "index" || name == "update" || name == "delete"
}
