//go:build !unix

package dedupe

import "os"

// makeFIFO makes something else that is no regular file.
func makeFIFO(path string) error { return os.Mkdir(path, 0o700) }
