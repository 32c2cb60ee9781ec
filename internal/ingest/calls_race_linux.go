//go:build race

package ingest

import "syscall"

// The race detector knows of these calls, and of no others, that what is done
// before a write comes before what is done after its read.

func readNow(descriptor int, room []byte) (int, error) {
	return again(syscall.Read, descriptor, room)
}

func writeNow(descriptor int, text []byte) (int, error) {
	return again(syscall.Write, descriptor, text)
}

func again(call func(int, []byte) (int, error), descriptor int, memory []byte) (n int, err error) {
	for n, err = call(descriptor, memory); err == syscall.EINTR; {
		n, err = call(descriptor, memory)
	}
	return max(n, 0), err
}
