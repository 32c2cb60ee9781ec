// Package tracelist encodes which line of an NDJSON request belongs to which trace: the value of
// its header Traceparents. It is a list of entries, such as
//
//	1=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01, 4-7=00-…
//
// of which each has the number of a line, from 1, or of the first and the last of several,
// and the W3C traceparent that they came with. Lines without an entry came without one.
package tracelist

import (
	"bytes"
	"iter"
	"strconv"
)

// Header is the name of the header.
const Header = "Traceparents"

// MaxEntries is the maximum number of entries that a distributor sends, which take 4 KiB.
const MaxEntries = 64

// Append appends an entry for the lines from first to last.
func Append(dst []byte, first, last int, traceparent string) []byte {
	if len(dst) > 0 {
		dst = append(dst, ", "...)
	}
	dst = strconv.AppendInt(dst, int64(first), 10)
	if last > first {
		dst = strconv.AppendInt(append(dst, '-'), int64(last), 10)
	}
	return append(append(dst, '='), traceparent...)
}

// Lines are consecutive lines, from First to Last, with the same traceparent.
type Lines struct {
	First, Last int
	Traceparent []byte
}

// Parse returns the entries of a header, without those that it cannot read. The traceparents
// are parts of the header; they are not validated.
func Parse(header []byte) iter.Seq[Lines] {
	return func(yield func(Lines) bool) {
		for entry := range bytes.SplitSeq(header, []byte{','}) {
			if one, ok := parse(bytes.TrimSpace(entry)); ok && !yield(one) {
				return
			}
		}
	}
}

func parse(entry []byte) (l Lines, ok bool) {
	lines, traceparent, ok := bytes.Cut(entry, []byte{'='})
	first, last, several := bytes.Cut(lines, []byte{'-'})
	if !several {
		last = first
	}
	l.First, l.Last, l.Traceparent = number(first), number(last), traceparent
	return l, ok && l.First > 0 && l.Last >= l.First
}

// number returns the value of decimal digits, or 0.
func number(digits []byte) int {
	value, err := strconv.ParseUint(string(digits), 10, 31)
	if err != nil {
		return 0
	}
	return int(value)
}
