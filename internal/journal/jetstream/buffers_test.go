package jetstream

import "testing"

// The buffer of an envelope that ends while it is sent again is reused only after the send has
// ended.
func TestBufferIsNotReusedWhileSent(t *testing.T) {
	for _, endsFirst := range []bool{true, false} {
		to := &partition{inFlight: 1}
		j := &Journal{published: make(map[uint64]*publication), partitions: []*partition{to}}
		o := j.newPublicationLocked(to)
		o.data = append(o.data, "envelope"...)
		o.sending, j.published[o.number] = true, o
		if endsFirst {
			j.resolveLocked(o, nil)
			if next := j.newPublicationLocked(to); cap(next.data) > 0 {
				t.Error("a buffer that is being sent is another envelope's")
			}
			j.sentLocked(o)
		} else {
			j.sentLocked(o)
			if len(j.buffers) > 0 {
				t.Error("the buffer of an envelope without an acknowledgement is given back")
			}
			j.resolveLocked(o, nil)
		}
		if len(j.buffers) != 1 || &j.buffers[0][0] != &o.data[0] {
			t.Errorf("%d buffers are given back", len(j.buffers))
		}
	}
}

// Buffers that are kept are bounded in number and size.
func TestKeptBuffersAreBounded(t *testing.T) {
	to := new(partition)
	j := &Journal{published: make(map[uint64]*publication), partitions: []*partition{to}}
	end := func(bytes, count int) {
		var ended []*publication
		for range count {
			o := j.newPublicationLocked(to)
			o.data = append(o.data, make([]byte, bytes)...)
			ended = append(ended, o)
		}
		for _, o := range ended {
			j.resolveLocked(o, nil)
		}
	}
	end(16<<20, 1)
	if len(j.buffers) > 0 {
		t.Errorf("a buffer of %d bytes is kept", cap(j.buffers[0]))
	}
	end(envelopeBytes, 10*window)
	if len(j.buffers) != window {
		t.Errorf("%d buffers are kept, want %d", len(j.buffers), window)
	}
}
