package disk

// blockReader reads the records of blocks. It must not be used concurrently.
type blockReader struct {
	files   fileSystem
	scanner scanner
	open    file
	path    string
	damages []Damage // in the last block
}

// read calls visit for each unacknowledged packet of the block, whose slices are valid
// during the call, and skips and notes damage. It returns an *unopenedError if the
// segment could not be opened, or the first read error.
func (r *blockReader) read(b *block, visit func(item)) error {
	r.damages = r.damages[:0]
	if err := r.use(b.segment.path); err != nil {
		return err
	}
	r.scanner.reset(r.open, b.offset, b.offset+b.bytes)
	next := b.first // skips a part that a misdirected write duplicated
	for {
		found, ok := r.scanner.next()
		if !ok {
			return r.scanner.bad.cause
		}
		if found.damaged {
			r.damages = append(r.damages, found.damage(r.path))
			continue
		}
		if found.kind == kindAcks || found.sequence < next || found.sequence >= b.end() {
			continue
		}
		next = found.sequence + 1
		if !b.isAcked(found.sequence) {
			visit(found)
		}
	}
}

// use opens a segment unless it is open.
func (r *blockReader) use(path string) error {
	if r.path == path {
		return nil
	}
	r.close()
	f, err := r.files.Open(path)
	if err != nil {
		return &unopenedError{err}
	}
	r.open, r.path = f, path
	return nil
}

// unopenedError reports that a segment could not be opened, for example because of too many open
// files. Its content is not known to be damaged.
type unopenedError struct{ cause error }

func (e *unopenedError) Error() string { return e.cause.Error() }
func (e *unopenedError) Unwrap() error { return e.cause }

func (r *blockReader) close() {
	if r.open != nil {
		r.open.Close()
		r.open, r.path = nil, ""
	}
}
