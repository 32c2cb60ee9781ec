//go:build unix

package emitter

import (
	"fmt"
	"os"
	"syscall"
)

func identityOf(_ *os.File, info os.FileInfo) (identity, error) {
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, fmt.Errorf("%s has no inode", info.Name())
	}
	return identity{Device: uint64(status.Dev), Inode: uint64(status.Ino)}, nil
}
