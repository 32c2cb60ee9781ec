package record

import "bytes"

// nameCache has the encoded names of members, since most messages have the same names.
type nameCache [64]writtenName

// writtenName is a name, and the beginning of a member with it.
type writtenName struct {
	name, begin []byte
	isContent   bool // the name is the content of a JSON string, not its text
}

// maxCachedName bounds the cached names, in bytes.
const maxCachedName = 64

// of returns the only place of a name in the cache.
func (c *nameCache) of(name []byte) *writtenName {
	if len(name) == 0 || len(name) > maxCachedName {
		return nil
	}
	return &c[(7*len(name)+int(name[0])+5*int(name[len(name)-1])+11*int(name[len(name)/2]))%len(c)]
}

// lenOf returns the length of the beginning of a member with a text as its name, or 0 if it is
// unknown.
func (c *nameCache) lenOf(name []byte) int {
	if cached := c.of(name); cached != nil && !cached.isContent && bytes.Equal(cached.name, name) {
		return len(cached.begin)
	}
	return 0
}

// beginMember appends the comma, the name and the quote of the value. The name is the content
// of a JSON string, or a text.
func (m *Message) beginMember(dst, name []byte, isContent bool) []byte {
	cached := m.names.of(name)
	if cached != nil && cached.isContent == isContent && bytes.Equal(cached.name, name) {
		return append(dst, cached.begin...)
	}
	start, invalid := len(dst), m.invalid
	m.invalid = false
	if isContent {
		dst = m.appendName(dst, name)
	} else {
		dst = m.appendKey(dst, name)
	}
	dst = append(dst, `":"`...)
	if cached != nil && !m.invalid {
		cached.name, cached.begin, cached.isContent = append(cached.name[:0], name...), append(cached.begin[:0], dst[start:]...), isContent
	}
	m.invalid = m.invalid || invalid
	return dst
}
