package jsontext

import (
	"bytes"
	"math"
)

// maxOutlined bounds the texts whose outlines are kept, in bytes, and maxOutlinedMembers their
// members.
const (
	maxOutlined        = 4 << 10
	maxOutlinedMembers = 128
)

// maxSkips bounds the texts that are read without an outline because previous texts differed.
const maxSkips = 32

// outline is the common part of a sender's texts, which mostly differ in their values only: a text
// with equal spans between the values has the same members.
type outline struct {
	text    []byte // a copy
	members []Member
	spans   []span   // around the values that are no object with members, in order
	places  []place  // of the members
	root    [2]int   // where the value begins, and ends before the end of the text
	shifts  []uint32 // of the spans in another text; negative ones wrap around
	number  int      // of the outline, from 1
	// The next skips texts get no outline; useless is the number of useless outlines in a row.
	skips, useless int
}

// span is a part of the text, and how deep the value behind it may be nested.
type span struct{ start, end, depth int }

// place has the index of the span that contains the name of a member, and of the span in or before
// which its value ends.
type place struct{ name, end int }

// learn keeps the outline of a text with members, all of which are listed, unless it is too large
// or outlines have been useless. It returns the outline's number, or 0.
func (o *outline) learn(text, value []byte, members []Member) (number int) {
	if o.skips > 0 || len(text) > maxOutlined || len(members) == 0 || len(members) > maxOutlinedMembers {
		o.skips = max(0, o.skips-1)
		return 0
	}
	start := Space(text, 0)
	o.text, o.members = append(o.text[:0], text...), append(o.members[:0], members...)
	o.spans, o.places = o.spans[:0], o.places[:0]
	o.root = [2]int{start, len(text) - start - len(value)}
	next := o.learnMembers(members, 0, MaxDepth-1)
	o.spans = append(o.spans, span{start: next, end: len(text)})
	if o.useless++; o.useless > 1 {
		o.skips = min(1<<min(o.useless, 8), maxSkips)
	}
	o.number++
	return o.number
}

// learnMembers adds the members behind an offset, whose values may have the given nesting, and
// returns the offset behind the last value.
func (o *outline) learnMembers(members []Member, at, depth int) (next int) {
	for n := 0; n < len(members); n++ {
		m := &members[n]
		own := len(o.places)
		o.places = append(o.places, place{name: len(o.spans)})
		if m.Inner > 0 {
			at = o.learnMembers(members[n+1:][:m.Inner], at, depth-1)
			n += int(m.Inner)
		} else {
			o.spans = append(o.spans, span{at, int(m.value), depth})
			at = int(m.end)
		}
		o.places[own].end = len(o.spans)
	}
	return at
}

// read reads a text that has the outline, and returns its value and, in dst, its members. It
// reports false for any other text.
func (o *outline) read(text []byte, dst []Member) (value []byte, members []Member, ok bool) {
	last := len(o.spans) - 1
	if last < 0 || len(text) > math.MaxInt32 {
		return nil, dst, false
	}
	s := scanner{text: text}
	at := 0
	o.shifts = o.shifts[:0]
	for n := range o.spans[:last] {
		one := &o.spans[n]
		if !bytes.HasPrefix(text[at:], o.text[one.start:one.end]) {
			return nil, dst, false
		}
		o.shifts = append(o.shifts, uint32(at-one.start))
		if at += one.end - one.start; at == len(text) || text[at] == '{' {
			return nil, dst, false
		}
		if at = s.value(at, one.depth); at < 0 {
			return nil, dst, false
		}
	}
	if one := &o.spans[last]; !bytes.Equal(text[at:], o.text[one.start:one.end]) {
		return nil, dst, false
	}
	o.shifts = append(o.shifts, uint32(at-o.spans[last].start))
	o.useless = 0
	return text[o.root[0] : len(text)-o.root[1]], o.moved(dst), true
}

// moved returns the members, in dst, at their offsets in the text that was read.
func (o *outline) moved(dst []Member) []Member {
	members := append(dst[:0], o.members...)
	places := o.places[:len(members)]
	for n := range members {
		m, p := &members[n], &places[n]
		name := o.shifts[p.name]
		m.name += name
		m.nameEnd += name
		m.value += name
		m.end += o.shifts[p.end]
	}
	return members
}
