package disk

// Damage is a part of a segment that cannot be read, or a run of packets that
// should be there and is not.
type Damage struct {
	Segment string `json:"segment"` // path of its file
	Offset  int64  `json:"offset"`  // of the first byte that is no record
	Bytes   int64  `json:"bytes"`
	// Packets is how many packets that were not delivered yet are lost with
	// it, with sequences between First and Last. When damage follows on damage
	// before the next whole record, the last of them tells for all.
	Packets int64  `json:"packets"`
	First   uint64 `json:"first_sequence,omitempty"`
	Last    uint64 `json:"last_sequence,omitempty"`
	// Unfinished: the end of the last segment, whose writing was cut short.
	// Nothing in it was accepted.
	Unfinished bool `json:"unfinished,omitempty"`
	// Unread: the disk could not read a part of it. At the end of the last
	// segment Packets is how many it may have held at most.
	Unread bool   `json:"unread,omitempty"`
	Reason string `json:"reason"`

	lost *block
}

// isAt tells whether two are of the same place.
func (d Damage) isAt(other Damage) bool {
	return d.Segment == other.Segment && d.Offset == other.Offset
}
