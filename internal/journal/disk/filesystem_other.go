//go:build !linux

package disk

import "os"

func reserve(*os.File, int64) error { return nil }

// directWriting is of Linux alone.
type directWriting struct{}

func (directWriting) reserved(f osFile, _ int64) file { return f }

func (directWriting) close() {}

func readInOrder(*os.File) {}

func syncData(f *os.File) error { return f.Sync() }
