//go:build unix

package faults

import "syscall"

// The signals that stop a process and let it go on.
const (
	sigStop = syscall.SIGSTOP
	sigCont = syscall.SIGCONT
)
