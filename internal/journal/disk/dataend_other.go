//go:build !linux

package disk

import "os"

// dataEnd returns size.
func dataEnd(_ *os.File, size int64) int64 { return size }
