//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: binding programs to processor cores and reading their processor time needs Linux")
	os.Exit(1)
}
