package demo

import "syscall"

// detached starts a process in a group of its own, so that an interrupt from the keyboard ends
// the demo, which then stops the process; it is killed when the demo is.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
