package analyzer

// workspace is what one request needs while it is served; it is used again.
type workspace struct {
	decompressor
	messages []message
	reply    []byte
	refused  []byte
}

// keptBytes is how large a buffer may be that is kept for the next request.
const keptBytes = 1 << 20

func newWorkspace(maxBodyBytes int) *workspace {
	return &workspace{decompressor: decompressor{maxBytes: maxBodyBytes}}
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
