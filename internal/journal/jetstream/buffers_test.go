package jetstream

import "testing"

// The buffer of an envelope that ends while it is sent again is reused only after the send has
// ended.
func TestBufferIsNotReusedWhileSent(t *testing.T) {
	for _, endsFirst := range []bool{true, false} {
		to := &partition{inFlight: 1}
		j := &Journal{published: make(map[uint64]*publication)}
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
