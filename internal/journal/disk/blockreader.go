package disk

// blockReader reads the records of blocks back. It is used by one goroutine.
type blockReader struct {
	files   fileSystem
	scanner scanner
	open    file
	path    string
}

// read calls visit for each packet of the block that is on disk and not
// acknowledged. The slices are valid during the call. Damaged records are
// skipped. An error means that not all could be read: an *unopenedError says
// nothing of what is in the file, any other is the disk's.
func (r *blockReader) read(b *block, visit func(item)) error {
	if err := r.use(b.segment.path); err != nil {
		return err
	}
	r.scanner.reset(r.open, b.offset, b.offset+b.bytes)
	next := b.first // a piece of a file that stands there twice counts once
	for {
		found, ok := r.scanner.next()
		if !ok {
			return r.scanner.bad.cause
		}
		if found.damaged || found.kind == kindAcks || found.sequence < next || found.sequence >= b.end() {
			continue
		}
		next = found.sequence + 1
		if !b.isAcked(found.sequence) {
			visit(found)
		}
	}
}

// use opens a segment, unless it is the one that was used last.
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

// unopenedError says that a segment could not be opened, for lack of
// descriptors or of rights. What is in it is whole, as far as is known.
type unopenedError struct{ cause error }

func (e *unopenedError) Error() string { return e.cause.Error() }
func (e *unopenedError) Unwrap() error { return e.cause }

func (r *blockReader) close() {
	if r.open != nil {
		r.open.Close()
		r.open, r.path = nil, ""
	}
}
