package packet

import (
	"bytes"
	"math/bits"
	"slices"
)

// typedName is a member of a "types" object.
type typedName struct {
	name Text
	kind byte
}

func (a *Attributes) reset() { *a = Attributes{Pairs: a.Pairs[:0]} }

// scopes reads an array of scopes. A scope of another form becomes an empty scope, so that the
// indexes of the other scopes do not change.
func (r *Reader) scopes(at int) (end int) {
	if r.at(at) != '[' {
		return r.value(at, depthInPacket)
	}
	at = r.space(at + 1)
	if r.at(at) == ']' {
		return at + 1
	}
	for {
		if len(r.Scopes) < cap(r.Scopes) {
			r.Scopes = r.Scopes[:len(r.Scopes)+1] // keeps the memory of its pairs
		} else {
			r.Scopes = append(r.Scopes, Attributes{})
		}
		scope := &r.Scopes[len(r.Scopes)-1]
		scope.reset()
		next, more := r.next(r.attributes(at, scope), ']')
		if !more {
			return next
		}
		at = next
	}
}

// attributes reads a resource or a scope.
func (r *Reader) attributes(at int, a *Attributes) (end int) {
	if r.at(at) != '{' {
		return r.value(at, depthInPacket)
	}
	a.Present = true
	r.types = r.types[:0]
	at = r.space(at + 1)
	if r.at(at) == '}' {
		return at + 1
	}
	for {
		name, value := r.name(at)
		next, more := r.next(r.attributesMember(name, value, a), '}')
		if !more {
			r.applyTypes(a.Pairs)
			return next
		}
		at = next
	}
}

// attributesMember reads a member of a resource or a scope; of several members with one name the
// first counts.
func (r *Reader) attributesMember(name Text, value int, a *Attributes) (end int) {
	end = r.value(value, depthInPacket+1)
	var field *Text
	switch {
	case r.Is(name, "attributes") && len(a.Pairs) == 0:
		if r.at(value) == '{' {
			a.Pairs, _ = r.pairs(value, a.Pairs)
		}
	case r.Is(name, "types"):
		r.typedNames(value, depthInPacket+1)
	case r.Is(name, "dropped"):
		if number, after := r.integer(value); after == end && a.Dropped == 0 {
			a.Dropped = number
		}
	case r.Is(name, "name"):
		field = &a.Name
	case r.Is(name, "version"):
		field = &a.Version
	case r.Is(name, "schema_url"):
		field = &a.SchemaURL
	}
	if field != nil && field.IsEmpty() && r.at(value) == '"' {
		*field, _ = r.text(value)
	}
	return end
}

// pairs appends the members of an object; null has none. It omits a value that is neither a string
// nor null, which metadata cannot have.
func (r *Reader) pairs(at int, pairs []Pair) (_ []Pair, end int) {
	if r.at(at) != '{' {
		return pairs, r.literal(at, "null")
	}
	at = r.space(at + 1)
	if r.at(at) == '}' {
		return pairs, at + 1
	}
	for {
		var complete bool
		if pairs, at, complete = r.plainPairs(at, pairs); complete {
			return pairs, at
		}
		name, value := r.name(at)
		switch r.at(value) {
		case '"':
			var text Text
			text, end = r.text(value)
			pairs = append(pairs, Pair{Name: name, Value: text})
		case 'n':
			end = value + len("null")
			pairs = append(pairs, Pair{Name: name, Null: true})
		default:
			end = r.value(value, depthInMetadata)
		}
		next, more := r.next(end, '}')
		if !more {
			return pairs, next
		}
		at = next
	}
}

// plainPairs appends members without escapes and spaces. It returns the offset of the first
// other member, or the offset after a complete object.
func (r *Reader) plainPairs(at int, pairs []Pair) (_ []Pair, next int, complete bool) {
	body := r.body
	for at < len(body) && body[at] == '"' {
		start := at + 1
		ahead := r.ahead(start)
		end := start + bits.TrailingZeros64(ahead)
		if ahead == 0 {
			end = r.plainEnd(start)
		}
		value := end + len(`":"`)
		if value > len(body) || string(body[end:value]) != `":"` {
			return pairs, at, false
		}
		// Two marks are consumed; the next one may be the end of the value.
		ahead &= ahead - 1
		ahead &= ahead - 1
		valueEnd := start + bits.TrailingZeros64(ahead)
		if ahead == 0 {
			valueEnd = r.plainEnd(value)
		}
		next = valueEnd + len(`",`)
		if next > len(body) || body[valueEnd] != '"' || body[valueEnd+1] != ',' && body[valueEnd+1] != '}' {
			return pairs, at, false
		}
		pairs = append(pairs, Pair{
			Name: Text{start: int32(start), end: int32(end)}, Value: Text{start: int32(value), end: int32(valueEnd)},
		})
		if body[valueEnd+1] == '}' {
			return pairs, next, true
		}
		at = r.space(next)
	}
	return pairs, at, false
}

// typedNames appends the members of a "types" object to r.types, unless it has some.
func (r *Reader) typedNames(at, depth int) (end int) {
	if r.at(at) != '{' || len(r.types) > 0 {
		return r.value(at, depth)
	}
	at = r.space(at + 1)
	if r.at(at) == '}' {
		return at + 1
	}
	for {
		name, value := r.name(at)
		kind, end := r.typeCode(value, depth+1)
		if kind != 0 {
			r.types = append(r.types, typedName{name, kind})
		}
		next, more := r.next(end, '}')
		if !more {
			return next
		}
		at = next
	}
}

// typeCode reads a string of one known letter, and returns 0 for anything else.
func (r *Reader) typeCode(at, depth int) (code byte, end int) {
	end = r.value(at, depth)
	if end != at+len(`"i"`) || r.at(at) != '"' {
		return 0, end
	}
	switch code := r.Body[at+1]; code {
	case TypeInt, TypeDouble, TypeBool, TypeBytes, TypeJSON, TypeOTLP, TypeEmpty:
		return code, end
	}
	return 0, end
}

// applyTypes sets the types of pairs. Each type belongs to the next pair of its name, so
// that types of names that occur twice are distinguished. Types that are not in the order of
// the pairs belong to all pairs of their name; a sort bounds the time that this takes.
func (r *Reader) applyTypes(pairs []Pair) {
	if len(r.types) == 0 {
		return
	}
	next := 0
	for i := range pairs {
		if next < len(r.types) && r.compare(r.types[next].name, pairs[i].Name) == 0 {
			pairs[i].Type = r.types[next].kind
			next++
		}
	}
	if next == len(r.types) {
		return
	}
	slices.SortStableFunc(r.types, func(a, b typedName) int { return r.compare(a.name, b.name) })
	for i := range pairs {
		pairs[i].Type = 0
		at, found := slices.BinarySearchFunc(r.types, pairs[i].Name, func(a typedName, name Text) int { return r.compare(a.name, name) })
		if found {
			pairs[i].Type = r.types[at].kind
		}
	}
}

// compare orders texts by their decoded content.
func (r *Reader) compare(a, b Text) int {
	left, right := a.Raw(r.Body), b.Raw(r.Body)
	if !a.escaped && !b.escaped {
		return bytes.Compare(left, right)
	}
	for len(left) > 0 && len(right) > 0 {
		one, size := decodeRune(left)
		left = left[size:]
		other, size := decodeRune(right)
		right = right[size:]
		if one != other {
			return int(one) - int(other)
		}
	}
	return len(left) - len(right)
}
