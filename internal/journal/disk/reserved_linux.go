package disk

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// directWriting makes files that are written past the page cache, with one
// asynchronous request for a write and its sync. One goroutine at a time may use
// it and its files. The zero value is ready to use.
type directWriting struct {
	queue *aioQueue
	tried bool // to make the queue
}

func (d *directWriting) close() {
	if d.queue != nil {
		d.queue.close()
	}
	*d = directWriting{}
}

// reserved returns a file, whose blocks are allocated, to append to it.
func (d *directWriting) reserved(f osFile, size int64) file {
	if !d.tried {
		d.queue, d.tried = newAIOQueue(), true
	}
	r := &reservedFile{osFile: f, queue: d.queue, size: wholeBlocks(size)}
	if d.queue != nil && suitsDirect(f.File) {
		r.direct, _ = os.OpenFile(f.Name(), os.O_WRONLY|unix.O_DIRECT|unix.O_NOFOLLOW, 0)
	}
	return r
}

// suitsDirect tells whether a file system writes directly without blocking the
// caller, and is known to sync each write of which that is asked. FUSE leaves it
// to a program that may not be told.
func suitsDirect(f *os.File) bool {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &stat); err != nil {
		return false
	}
	switch uint64(stat.Type) & 0xFFFFFFFF {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC:
		return true
	default:
		return false
	}
}

// reservedFile is a new file to which is appended. A direct write has whole
// blocks, so the last incomplete one is kept in memory and written again with
// what follows it; up to its end there are zeros.
//
// Zeros are also written ahead: the first write into a reserved block makes a
// sync wait for the file system's own log as well, so that happens once for many
// appends. They are part of an append's request, which costs less than one of
// their own.
type reservedFile struct {
	osFile          // where there is no direct writing, appends too
	direct *os.File // the same file; nil: it is not written directly (any more)
	queue  *aioQueue
	size   int64 // reserved, in whole blocks

	end      int64  // of what was appended
	zeroed   int64  // all before was written to
	buffer   []byte // aligned; begins with the incomplete block before end
	unsynced bool   // something was appended without a sync
}

const (
	directBlockBytes = 4096
	zeroBytes        = 512 << 10
)

// zeros are never changed, and thus take no memory.
var (
	zeroPages [zeroBytes + directBlockBytes]byte
	zeros     = aligned(zeroPages[:])
)

// WriteAt appends without a sync.
func (f *reservedFile) WriteAt(b []byte, offset int64) (int, error) {
	f.unsynced = true
	if err := f.append(b, offset, false); err != nil {
		return 0, err
	}
	return len(b), nil
}

// WriteSynced appends. The kernel promises stable storage only for what the same
// request writes.
func (f *reservedFile) WriteSynced(b []byte, offset int64) error {
	if f.unsynced || f.direct == nil {
		return writeThenSync(f, b, offset)
	}
	return f.append(b, offset, true)
}

func (f *reservedFile) Sync() error {
	err := f.osFile.Sync()
	f.unsynced = f.unsynced && err != nil
	return err
}

func (f *reservedFile) append(b []byte, offset int64, synced bool) error {
	if offset != f.end {
		return fmt.Errorf("write at %d of %s, which ends at %d", offset, f.Name(), f.end)
	}
	if f.direct != nil {
		switch err := f.appendDirect(b, synced); err {
		case nil:
			f.end += int64(len(b))
			return nil
		case errNoDirect:
			f.direct.Close()
			f.direct = nil
		default:
			return err
		}
	}
	if _, err := f.File.WriteAt(b, offset); err != nil {
		return err
	}
	f.end += int64(len(b))
	if synced {
		return f.Sync()
	}
	return nil
}

func (f *reservedFile) appendDirect(b []byte, synced bool) error {
	tail := int(f.end % directBlockBytes)
	from, used := f.end-int64(tail), tail+len(b)
	whole := int(wholeBlocks(int64(used)))
	if whole > len(f.buffer) {
		larger := alignedBytes(max(whole, 2*len(f.buffer)))
		copy(larger, f.buffer[:tail])
		f.buffer = larger
	}
	copy(f.buffer[tail:], b)
	clear(f.buffer[used:whole])
	var ahead []byte
	if end := from + int64(whole); end > f.zeroed {
		ahead = zeros[:max(0, min(zeroBytes, f.size-end))]
		f.zeroed = end + int64(len(ahead))
	}
	w := directWrite{fd: int(f.direct.Fd()), parts: [2][]byte{f.buffer[:whole], ahead}, offset: from, synced: synced}
	if err := f.queue.write(w); err != nil {
		return err
	}
	copy(f.buffer, f.buffer[used-used%directBlockBytes:used])
	return nil
}

func (f *reservedFile) Close() error {
	if f.direct != nil {
		f.direct.Close()
	}
	return f.osFile.Close()
}

func wholeBlocks(bytes int64) int64 {
	return (bytes + directBlockBytes - 1) / directBlockBytes * directBlockBytes
}

// alignedBytes returns n bytes that may be written directly.
func alignedBytes(n int) []byte { return aligned(make([]byte, n+directBlockBytes)) }

// aligned returns the part of b that may be written directly: a block less.
func aligned(b []byte) []byte {
	past := int(uintptr(unsafe.Pointer(&b[0])) % directBlockBytes)
	return b[directBlockBytes-past:][:len(b)-directBlockBytes]
}
