package otlp

// hasRepeated reports whether two attributes have the same key.
func hasRepeated(attributes []attribute) bool {
	var seen uint64 // hashes of keys
	for i := range attributes {
		key := attributes[i].key
		bit := uint(len(key))
		if len(key) > 0 {
			bit += uint(key[len(key)-1])*7 + uint(key[0])*31
		}
		if seen>>(bit&63)&1 != 0 {
			return repeats(attributes)
		}
		seen |= 1 << (bit & 63)
	}
	return false
}

// repeats compares the keys of a few attributes with each other.
func repeats(attributes []attribute) bool {
	const few = 32
	if len(attributes) > few {
		seen := make(map[string]struct{}, len(attributes))
		for i := range attributes {
			seen[string(attributes[i].key)] = struct{}{}
		}
		return len(seen) < len(attributes)
	}
	for i := range attributes {
		for j := range i {
			if string(attributes[i].key) == string(attributes[j].key) {
				return true
			}
		}
	}
	return false
}
