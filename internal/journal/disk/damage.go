package disk

// Damage is a part of a segment that holds no valid record, or a gap in the
// sequences.
type Damage struct {
	Segment string `json:"segment"` // path of its file
	Offset  int64  `json:"offset"`  // of the first byte
	Bytes   int64  `json:"bytes"`
	// Packets is the number of undelivered packets that are lost, with sequences from First to
	// Last. Of consecutive damages without a valid record between them, the last one counts the
	// packets of all.
	Packets int64  `json:"packets"`
	First   uint64 `json:"first_sequence,omitempty"`
	Last    uint64 `json:"last_sequence,omitempty"`
	// Unfinished marks an incomplete write at the end of the last segment. It
	// contains no accepted packet.
	Unfinished bool `json:"unfinished,omitempty"`
	// Unread marks a read error. At the end of the last segment Packets is then the
	// maximum number of packets in it.
	Unread bool   `json:"unread,omitempty"`
	Reason string `json:"reason"`

	lost *block
}

// damage returns the damage of an item in a segment.
func (i item) damage(path string) Damage {
	d := Damage{Segment: path, Offset: i.offset, Bytes: i.bytes, Reason: "not a whole record"}
	if i.readErr != nil {
		d.Unread, d.Reason = true, i.readErr.Error()
	}
	return d
}

func (d Damage) attributes() []any {
	return []any{"segment", d.Segment, "offset", d.Offset, "bytes", d.Bytes, "reason", d.Reason}
}

// isAt reports whether both damages have the same location.
func (d Damage) isAt(other Damage) bool {
	return d.Segment == other.Segment && d.Offset == other.Offset
}
