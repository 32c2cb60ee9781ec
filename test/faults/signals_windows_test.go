package faults

import "syscall"

// The signals that stop a process and let it go on, of which there are none: the
// matrix is skipped here.
const (
	sigStop = syscall.Signal(0x13)
	sigCont = syscall.Signal(0x12)
)
