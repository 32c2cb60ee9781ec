package sink

import (
	"regexp"
	"strings"
)

// addresses are those of a failed connection, before its error.
var addresses = regexp.MustCompile(`^(\w+: )?(dial|read|write) .*: `)

// Cause returns the Detail of a failed request without the addresses of its connection and without
// an empty body, for a line of a table.
func Cause(detail string) string {
	return strings.TrimSuffix(addresses.ReplaceAllString(detail, ""), ` ""`)
}
