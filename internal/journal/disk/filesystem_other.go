//go:build !linux

package disk

import "os"

func reserve(*os.File, int64) error { return nil }

func adviseSequential(*os.File) {}

func syncData(f *os.File) error { return f.Sync() }
