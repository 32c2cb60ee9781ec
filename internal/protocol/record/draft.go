package record

import (
	"strconv"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// draft is an incomplete packet.
type draft struct {
	group    *Group
	packet   *packet.Packet // nil while it is only measured
	size     int            // of its body
	messages int
	level    packet.Level
	latest   string // level of the latest message
	origin   []byte // see SetOrigin
}

// add adds a message of that many bytes.
func (d *draft) add(m *Message, bytes int) {
	if d.messages > 0 {
		bytes++ // a comma
	}
	d.size += bytes
	if d.packet != nil {
		if d.messages > 0 {
			d.packet.Body = append(d.packet.Body, ',')
		}
		d.packet.Body = m.append(d.packet.Body)
	}
	d.origin = nil
	d.messages++
	if d.messages == 1 || m.level != d.latest {
		d.level, d.latest = max(d.level, m.packetLevel()), m.level
	}
}

// appendID appends the id of packet n.
func appendID(dst []byte, id string, n int) []byte {
	return strconv.AppendInt(append(append(dst, id...), '-'), int64(n), 10)
}

// end completes the packet behind a text with its id.
func (d *draft) end(before string, id []byte) {
	body := append(d.packet.Body, before...)
	start := len(body)
	body = append(body, id...)
	d.packet.Info = packet.Info{
		EmitterID: d.group.emitter, PacketID: packet.NewText(start, len(body), false), Messages: d.messages, Level: d.level,
	}
	d.packet.Body = append(body, endOfPacket...)
}
