package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// directWriting makes segments that are written past the page cache, with one asynchronous
// request for a write and its sync. Only one goroutine at a time may use it and its files. The
// zero value is ready to use.
type directWriting struct {
	queue *aioQueue
	tried bool // parameters of the queue
}

func (d *directWriting) close() {
	if d.queue != nil {
		d.queue.close()
	}
	*d = directWriting{}
}

// segment returns f for direct writes, or f itself if these are not supported.
func (d *directWriting) segment(f osFile, size int64) file {
	if !d.tried {
		d.queue, d.tried = newAIOQueue(), true
	}
	if d.queue == nil || !supportsDirect(f.File) {
		return f
	}
	direct, err := os.OpenFile(f.Name(), os.O_WRONLY|unix.O_DIRECT|unix.O_NOFOLLOW, 0)
	if err != nil {
		return f
	}
	created := &directFile{osFile: f, direct: direct, queue: d.queue, size: roundUp(size, maxAlignment)}
	if created.path, err = unix.ByteSliceFromString(f.Name()); err == nil {
		err = unix.Statx(int(direct.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_INO, &created.identity)
	}
	if err != nil {
		created.identity = unix.Statx_t{} // Check is the Check of the underlying osFile
	}
	return created
}

// supportsDirect reports whether a file system writes directly without blocking the caller,
// and is known to sync each write for which that is requested.
func supportsDirect(f *os.File) bool {
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

// directFile is a segment that is written directly.
//
// A write also writes zeros after its end, into allocated blocks, because the sync of the first
// write to such a block also waits for the file system's metadata.
type directFile struct {
	osFile          // for reading, and for writing after a refusal
	direct *os.File // the same file; nil after a refusal
	queue  *aioQueue
	size   int64 // allocated

	path     []byte // with a zero at its end
	identity unix.Statx_t

	zeroed   int64 // end of the written bytes, including zeros
	unsynced bool  // there were writes without a sync
}

// zeroBytes is the number of zeros that are written after the end of a write.
const zeroBytes = 512 << 10

// zeros are read only, so that they take no memory.
var (
	zeroPages [zeroBytes + maxAlignment]byte
	zeros     = aligned(zeroPages[:])
)

func (f *directFile) Alignment() int { return maxAlignment }

func (f *directFile) WriteAt(b []byte, offset int64) (int, error) {
	f.unsynced = true
	switch err := f.writeDirect(b, offset, false); err {
	case nil:
		return len(b), nil
	case errNoDirect:
		return f.File.WriteAt(b, offset)
	default:
		return 0, err
	}
}

// WriteSynced makes a separate sync if there are writes without one: the sync of a direct write
// covers no other write.
func (f *directFile) WriteSynced(b []byte, offset int64) error {
	if !f.unsynced {
		if err := f.writeDirect(b, offset, true); err != errNoDirect {
			return err
		}
	}
	return writeSynced(f, b, offset)
}

func (f *directFile) Sync() error {
	err := f.osFile.Sync()
	f.unsynced = f.unsynced && err != nil
	return err
}

// writeDirect returns errNoDirect if the write is refused, and for all later writes.
func (f *directFile) writeDirect(b []byte, offset int64, synced bool) error {
	if f.direct == nil {
		return errNoDirect
	}
	var ahead []byte
	if end := offset + int64(len(b)); end > f.zeroed {
		ahead = zeros[:max(0, min(zeroBytes, f.size-end))]
		f.zeroed = end + int64(len(ahead))
	}
	err := f.queue.write(directWrite{fd: int(f.direct.Fd()), parts: [2][]byte{b, ahead}, offset: offset, synced: synced, grows: len(ahead) > 0})
	if err == errNoDirect {
		f.direct.Close()
		f.direct = nil
	}
	return err
}

// Check uses a system call that bypasses the runtime: the kernel has the path in its cache.
func (f *directFile) Check() error {
	var found unix.Statx_t
	if statNow(f.path, &found) && found.Ino == f.identity.Ino && found.Dev_major == f.identity.Dev_major && found.Dev_minor == f.identity.Dev_minor {
		return nil
	}
	return f.osFile.Check()
}

func (f *directFile) Close() error {
	if f.direct != nil {
		f.direct.Close()
	}
	return f.osFile.Close()
}
