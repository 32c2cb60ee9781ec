//go:build !unix

package dedupe

import "os"

// makeFIFO makes a directory: the system has no FIFOs.
func makeFIFO(path string) error { return os.Mkdir(path, 0o700) }
