package datafile

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockedByte is after the end of the file, so that other processes can read it.
const lockedByte = 1 << 30

// tryLock takes a lock that ends with the process; taken is false if another process
// holds it.
func tryLock(f *os.File) (taken bool, err error) {
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{Offset: lockedByte})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}
