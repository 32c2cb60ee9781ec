//go:build !unix

package datafile

// access returns nil: whether entries can be made shows when they are.
func access(string) error { return nil }
