package receiver

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// hashBytes is the length of a truncated hash.
const hashBytes = 16

// ContentID returns the id of a request's packets that is the same when the request comes
// again: a hash of protocol, principal, target and decoded body. It is for requests of which
// each record has a timestamp of its own; see SequenceID. The target is the path, with the
// index or what else decides where the records belong.
func (r *Receiver) ContentID(from Sender, target string, body []byte) string {
	h := sha256.New()
	for _, part := range []string{r.protocol, from.name(), target} {
		_, _ = h.Write(append([]byte(part), 0))
	}
	_, _ = h.Write(body)
	var sum [sha256.Size]byte
	return r.protocol + "-" + hex.EncodeToString(h.Sum(sum[:0])[:hashBytes])
}

// SequenceID returns an id that no other request has.
func (r *Receiver) SequenceID() string {
	return r.protocol + "-" + r.service.boot + "-" + strconv.FormatUint(r.service.sequence.Add(1), 10)
}
