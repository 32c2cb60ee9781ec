package disk

import (
	"errors"
	"io"
)

// blockReader reads the records of blocks back. It is used by one goroutine.
type blockReader struct {
	files   fileSystem
	scanner scanner
	open    file
	path    string
}

// read calls visit for each packet of the block that is on disk and not
// acknowledged. The slices are valid during the call. An error means that not
// all could be read; damaged records are skipped.
func (r *blockReader) read(b *block, visit func(item)) error {
	if err := r.use(b.segment.path); err != nil {
		return err
	}
	r.scanner.reset(r.open, b.offset, b.offset+b.bytes)
	for {
		found, err := r.scanner.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		wanted := !found.damaged && found.kind != kindAcks &&
			found.sequence >= b.first && found.sequence < b.end() && !b.isAcked(found.sequence)
		if wanted {
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
		return err
	}
	r.open, r.path = f, path
	return nil
}

func (r *blockReader) close() {
	if r.open != nil {
		r.open.Close()
		r.open, r.path = nil, ""
	}
}
