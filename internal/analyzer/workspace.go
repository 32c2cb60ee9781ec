package analyzer

// workspace holds the reusable buffers of one request.
type workspace struct {
	decompressor
	messages []message
	reply    []byte
	refused  []byte
}

// maxPooledBytes is the capacity of the largest buffer kept for reuse.
const maxPooledBytes = 1 << 20

func newWorkspace(maxBodyBytes int) *workspace {
	return &workspace{decompressor: decompressor{maxBytes: maxBodyBytes}}
}

// reset drops references to the body and oversized buffers.
func (w *workspace) reset() {
	clear(w.messages) // drop references to the body
	w.plain, w.reply, w.refused = resetBuffer(w.plain), resetBuffer(w.reply), resetBuffer(w.refused)
}

func resetBuffer(buffer []byte) []byte {
	if cap(buffer) > maxPooledBytes {
		return nil
	}
	return buffer[:0]
}
