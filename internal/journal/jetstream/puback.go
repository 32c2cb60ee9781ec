package jetstream

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// pubAck is the acknowledgement of a publication, or its refusal, by a stream.
type pubAck struct {
	Sequence  uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
	Error     *struct {
		Code        int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

// parsePubAck decodes an acknowledgement; it decodes the usual one for a stored message without
// reflection.
func parsePubAck(data []byte) (ack pubAck, ok bool) {
	const begin = `{"stream":"`
	if rest, found := bytes.CutPrefix(data, []byte(begin)); found {
		_, rest, _ = bytes.Cut(rest, []byte(`"`))
		if digits, found := bytes.CutPrefix(rest, []byte(`,"seq":`)); found && bytes.HasSuffix(digits, []byte("}")) {
			if sequence, err := strconv.ParseUint(string(digits[:len(digits)-1]), 10, 64); err == nil {
				return pubAck{Sequence: sequence}, true
			}
		}
	}
	err := json.Unmarshal(data, &ack)
	return ack, err == nil
}

// Error codes of NATS.
const (
	// codeStoreFailed: the message was not stored, of a full stream because of its size.
	codeStoreFailed = 10077
	// codeInProcess: an earlier message of the envelope is being stored.
	codeInProcess = 10158
	// codeTooLarge: the message is larger than the stream allows.
	codeTooLarge = 10054
)
