//go:build unix

package faults

import "syscall"

// The signals that pause and resume a process.
const (
	sigStop = syscall.SIGSTOP
	sigCont = syscall.SIGCONT
)
