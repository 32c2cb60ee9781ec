package record

import (
	"bytes"
	"slices"
)

// Identity appends texts of messages that do not depend on the order of the members of their
// records. The zero value is ready; it is reused, and must not be used concurrently.
type Identity struct {
	members [][]byte
}

// Append appends the text of a complete message, without its timestamp. Objects in arrays, and a
// record that is the message as a whole, count in the order of their members.
func (i *Identity) Append(dst []byte, m *Message) []byte {
	dst = append(append(append(dst, m.level...), m.levelText...), '"')
	dst = append(append(dst, m.body...), '"')
	dst = i.appendSorted(dst, m.metadata)
	dst = i.appendSorted(append(dst, '"'), m.types)
	return append(append(dst, '"'), m.extras...)
}

// appendSorted appends members, each with a comma before it and a string as its value.
func (i *Identity) appendSorted(dst, members []byte) []byte {
	i.members = i.members[:0]
	for rest := members; len(rest) > 0; {
		end := stringEnd(rest, len(`,`))    // of the name
		end = stringEnd(rest, end+len(`:`)) // of the value
		i.members = append(i.members, rest[:end])
		rest = rest[end:]
	}
	slices.SortFunc(i.members, bytes.Compare)
	for _, one := range i.members {
		dst = append(dst, one...)
	}
	clear(i.members) // they are parts of the message
	return dst
}

// stringEnd returns the offset behind the JSON string that begins at an offset.
func stringEnd(text []byte, at int) int {
	for at++; text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at + 1
}
