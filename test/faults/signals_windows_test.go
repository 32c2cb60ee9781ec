package faults

import "syscall"

// Windows has no signals that pause and resume a process; the matrix is
// skipped.
const (
	sigStop = syscall.Signal(0x13)
	sigCont = syscall.Signal(0x12)
)
