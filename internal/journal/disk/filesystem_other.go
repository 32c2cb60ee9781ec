//go:build !linux

package disk

import "os"

func reserve(*os.File, int64) error { return nil }

func newReservedFile(f *os.File, _ int64) file { return osFile{f} }

func syncData(f *os.File) error { return f.Sync() }
