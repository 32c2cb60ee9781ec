package datafile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// LockedError reports that another process holds a lock.
type LockedError struct {
	Path  string
	Owner string // process id, if known
}

func (e *LockedError) Error() string {
	owner := "another process"
	if e.Owner != "" {
		owner = "process " + e.Owner
	}
	return fmt.Sprintf("%s is held by %s: two processes cannot use the same data", e.Path, owner)
}

// Lock takes the lock of a file, which it creates if there is none, and writes the process id into
// it. The operating system releases the lock when the process ends or the file is closed. The
// error is a *LockedError if another process holds the lock.
func Lock(path string) (*os.File, error) {
	f, err := Open(path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, err
	}
	taken, err := tryLock(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	if !taken {
		owner, _ := io.ReadAll(io.LimitReader(f, 20)) // the process id is only for the error
		return nil, errors.Join(&LockedError{Path: path, Owner: strings.TrimSpace(string(owner))}, f.Close())
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintln(f, os.Getpid()) // as above
	}
	return f, nil
}
