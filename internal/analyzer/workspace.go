package analyzer

import (
	"github.com/logstreamer/logstreamer/internal/packet"
)

// workspace is what one request needs while it is served; it is used again.
type workspace struct {
	decompressor
	messages []message
	ids      []byte
	reply    []byte
	refused  []byte
}

// keptBytes is how large a buffer may be that is kept for the next request.
const keptBytes = 1 << 20

func newWorkspace(maxBodyBytes int) *workspace {
	return &workspace{decompressor: decompressor{maxBytes: maxBodyBytes}}
}

func (w *workspace) fingerprint(info packet.Info, body []byte) fingerprint {
	w.ids = info.EmitterID.AppendDecoded(w.ids[:0], body)
	emitterLength := len(w.ids)
	w.ids = info.PacketID.AppendDecoded(w.ids, body)
	return fingerprintOf(w.ids, emitterLength)
}

// trim lets go of what only an unusual request needed.
func (w *workspace) trim() {
	clear(w.messages) // they hold on to the body
	w.plain, w.reply, w.refused = trimmed(w.plain), trimmed(w.reply), trimmed(w.refused)
}

func trimmed(buffer []byte) []byte {
	if cap(buffer) > keptBytes {
		return nil
	}
	return buffer[:0]
}
