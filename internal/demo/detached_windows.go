package demo

import "syscall"

// detached starts a process in a group of its own, so that an interrupt from the keyboard ends
// the demo, which then stops the process.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
