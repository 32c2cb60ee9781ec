package loki

// stream collects the entries with the same labels.
type stream struct {
	labels  string
	entries []byte // fields of the stream
}

// streams are the streams of one push, in the order of their first entries. The zero value
// has none.
type streams struct {
	all   []stream
	index map[string]int // by labels
}

// reset begins another push and keeps buffers.
func (s *streams) reset() {
	s.all = s.all[:0]
	clear(s.index)
}

// get returns the stream with these labels.
func (s *streams) get(labels []byte) *stream {
	if at, found := s.index[string(labels)]; found {
		return &s.all[at]
	}
	if s.index == nil {
		s.index = make(map[string]int)
	}
	name := string(labels)
	s.index[name] = len(s.all)
	if len(s.all) < cap(s.all) {
		s.all = s.all[:len(s.all)+1] // keeps the memory of its entries
	} else {
		s.all = append(s.all, stream{})
	}
	last := &s.all[len(s.all)-1]
	last.labels, last.entries = name, last.entries[:0]
	return last
}

// append appends the push.
func (s *streams) append(dst []byte) []byte {
	for i := range s.all {
		one := &s.all[i]
		dst = appendTag(dst, streamsTag, fieldSize(len(one.labels))+len(one.entries))
		dst = append(appendTag(dst, labelsTag, len(one.labels)), one.labels...)
		dst = append(dst, one.entries...)
	}
	return dst
}

// capacity returns the memory of the entries, including those of earlier pushes.
func (s *streams) capacity() (bytes int) {
	for _, one := range s.all[:cap(s.all)] {
		bytes += cap(one.entries)
	}
	return bytes
}
