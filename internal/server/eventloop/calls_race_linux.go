//go:build race && !noeventloop

package eventloop

import "syscall"

// For the race detector these calls, and no others, order what is done before a
// write and after its read.

func readNow(descriptor int, dst []byte) (int, error) {
	return again(syscall.Read, descriptor, dst)
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
