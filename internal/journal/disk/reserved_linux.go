package disk

import (
	"os"
)

// reservedFile is a new file whose blocks are allocated. It writes zeros ahead
// of what is appended: the first write into an allocated block makes a sync wait
// for the file system's own log as well, so that happens once for many appends.
type reservedFile struct {
	osFile
	flusher *flusher // nil: Sync blocks its thread
	size    int64    // allocated
	zeroed  int64    // written to, from the start
}

const zeroBytes = 256 << 10

var zeros [zeroBytes]byte

func newReservedFile(f *os.File, size int64) file {
	return &reservedFile{osFile: osFile{f}, flusher: newFlusher(), size: size}
}

func (f *reservedFile) WriteAt(b []byte, offset int64) (int, error) {
	if end := offset + int64(len(b)); end > f.zeroed {
		f.zeroed = max(end, min((end/zeroBytes+1)*zeroBytes, f.size))
		if _, err := f.File.WriteAt(zeros[:f.zeroed-end], end); err != nil {
			return 0, err
		}
	}
	return f.File.WriteAt(b, offset)
}

func (f *reservedFile) Sync() error {
	if f.flusher != nil {
		switch err := f.flusher.flush(f.File); err {
		case errNoFlusher:
			f.flusher.close()
			f.flusher = nil
		default:
			return err
		}
	}
	return f.osFile.Sync()
}

func (f *reservedFile) Close() error {
	if f.flusher != nil {
		f.flusher.close()
	}
	return f.osFile.Close()
}
