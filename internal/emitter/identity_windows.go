package emitter

import (
	"os"

	"golang.org/x/sys/windows"
)

func identityOf(file *os.File, _ os.FileInfo) (identity, error) {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(windows.Handle(file.Fd()), &info); err != nil {
		return identity{}, err
	}
	return identity{
		Device: uint64(info.VolumeSerialNumber),
		Inode:  uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow),
	}, nil
}
