package receiver

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// ID is the prefix of the ids of a request's packets.
type ID struct {
	Text string
	// Repeatable means that the packets have the same ids when the request is repeated, so that
	// they may be accepted in parts; see intake.Intake.AcceptAll.
	Repeatable bool
}

// hashBytes is the length of a truncated hash.
const hashBytes = 16

// ContentID returns an id of a request's packets that is the same when the request is repeated: a
// hash of protocol, principal, target and decoded body. It is for requests of which each record has
// a timestamp of its own; see SequenceID. The target is the path, with the index or any other value
// that decides where the records belong.
func (r *Receiver) ContentID(from Sender, target string, body []byte) ID {
	h := sha256.New()
	for _, part := range []string{r.protocol, from.name(), target} {
		_, _ = h.Write(append([]byte(part), 0))
	}
	_, _ = h.Write(body)
	var sum [sha256.Size]byte
	return ID{r.protocol + "-" + hex.EncodeToString(h.Sum(sum[:0])[:hashBytes]), true}
}

// RequestID returns the SequenceID of a request with an untimed record, and otherwise the
// ContentID.
func (r *Receiver) RequestID(from Sender, target string, body []byte, untimed bool) ID {
	if untimed {
		return r.SequenceID()
	}
	return r.ContentID(from, target, body)
}

// SequenceID returns an id that no other request has.
func (r *Receiver) SequenceID() ID {
	return ID{Text: r.protocol + "-" + r.service.boot + "-" + strconv.FormatUint(r.service.sequence.Add(1), 10)}
}
