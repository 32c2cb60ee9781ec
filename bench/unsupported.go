//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: it binds programs to processor cores and reads their processor time, which needs Linux")
	os.Exit(1)
}
