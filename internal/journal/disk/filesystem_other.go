//go:build !linux

package disk

import "os"

func reserve(*os.File, int64) error { return nil }

// directWriting is available on Linux only.
type directWriting struct{}

func (directWriting) segment(f osFile, _ int64) file { return f }

func (directWriting) close() {}

func adviseSequential(*os.File) {}

func syncData(f *os.File) error { return f.Sync() }
