package loki

import "github.com/logstreamer/logstreamer/internal/protobuf"

// stream collects the entries with the same labels.
type stream struct {
	fields []byte // labels and entries
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
	s.index[string(labels)] = len(s.all)
	if len(s.all) < cap(s.all) {
		s.all = s.all[:len(s.all)+1] // keeps its memory
	} else {
		s.all = append(s.all, stream{})
	}
	last := &s.all[len(s.all)-1]
	last.fields = protobuf.AppendText(last.fields[:0], labelsTag, labels)
	return last
}

// append appends the push.
func (s *streams) append(dst []byte) []byte {
	for i := range s.all {
		dst = protobuf.AppendText(dst, streamsTag, s.all[i].fields)
	}
	return dst
}

// capacity returns the memory of the streams, including those of earlier pushes.
func (s *streams) capacity() (bytes int) {
	for _, one := range s.all[:cap(s.all)] {
		bytes += cap(one.fields)
	}
	return bytes
}
