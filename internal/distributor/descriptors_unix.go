//go:build unix

package distributor

import "golang.org/x/sys/unix"

// descriptorLimit returns the process's limit of open files, or 0 if unknown. The Go runtime
// has raised it to the hard limit.
func descriptorLimit() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur)
}
