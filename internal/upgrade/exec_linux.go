package upgrade

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const supported = true

// firstDescriptor is where inherited descriptors begin: SD_LISTEN_FDS_START.
const firstDescriptor = 3

// replace executes a program in this process, with sockets and files as its descriptors from
// firstDescriptor on. It returns only if that fails, and has no effect then: a thread with
// a table of descriptors of its own does it, since those numbers are used by others in this
// process. The runtime's own are among them: a garbage collection on that thread would look for
// events there, and end the process.
func replace(path string, args, environ, names []string, files []syscall.Conn) error {
	defer stopCollections()()
	return onOwnThread(func() error {
		return replaceFromThread(path, args, append(environ, listenVariables(names)...), files)
	})
}

// onOwnThread calls f on a thread that then ends, and with it the thread's table of descriptors.
func onOwnThread(f func() error) error {
	failure := make(chan error)
	go func() {
		runtime.LockOSThread() // it is not unlocked: the thread ends with this goroutine
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread() // the main thread does not end
			failure <- onOwnThread(f)
			return
		}
		failure <- f()
	}()
	return <-failure
}

// stopCollections waits for the end of a garbage collection, and prevents others until restart is
// called.
func stopCollections() (restart func()) {
	percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(math.MaxInt64)
	runtime.GC() // one may be in progress
	return func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}
}

func replaceFromThread(path string, args, environ []string, files []syscall.Conn) error {
	descriptors, err := descriptorsOf(files)
	if err != nil {
		return err
	}
	if err = unshareDescriptors(); err != nil {
		return fmt.Errorf("unshare the table of descriptors: %w", err)
	}
	defer saveOthers(descriptors)()
	if err := place(descriptors); err != nil {
		return fmt.Errorf("place descriptors: %w", err)
	}
	if err := blockSignals(unix.SIGUSR2); err != nil {
		return fmt.Errorf("block signals: %w", err)
	}
	restore, err := ignoreHangups()
	if err != nil {
		return fmt.Errorf("ignore SIGHUP: %w", err)
	}
	defer restore()
	var limit unix.Rlimit
	limited := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	err = syscall.Exec(path, args, environ)
	if limited == nil { // Exec has lowered it to what the process was started with
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	return fmt.Errorf("execute %s: %w", path, err)
}

// descriptorsOf returns the descriptors, without making them block, as File and Fd do.
func descriptorsOf(files []syscall.Conn) ([]int, error) {
	descriptors := make([]int, len(files))
	for i, f := range files {
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Control(func(descriptor uintptr) { descriptors[i] = int(descriptor) })
		}
		if err != nil {
			return nil, err
		}
	}
	return descriptors, nil
}

// unshareDescriptors gives this thread a copy of the process's table of descriptors. Seccomp
// profiles of containers allow only the second way.
func unshareDescriptors() error {
	if unix.Unshare(unix.CLONE_FILES) == nil {
		return nil
	}
	return unix.CloseRange(math.MaxUint32, math.MaxUint32, unix.CLOSE_RANGE_UNSHARE)
}

// saveOthers copies the descriptors that place would overwrite, and returns what puts them back at
// their numbers. The runtime writes to one of them when the thread ends, which must not fail.
func saveOthers(descriptors []int) (restore func()) {
	end := firstDescriptor + len(descriptors)
	ours, copies := make(map[int]bool, len(descriptors)), make(map[int]int) // by number
	for _, d := range descriptors {
		ours[d] = true
	}
	for number := firstDescriptor; number < end; number++ {
		if ours[number] {
			continue
		}
		if saved, err := unix.FcntlInt(uintptr(number), unix.F_DUPFD_CLOEXEC, end); err == nil { // else it is not open
			copies[number] = saved
		}
	}
	return func() {
		for number, saved := range copies {
			_ = unix.Dup3(saved, number, unix.O_CLOEXEC)
		}
	}
}

// place moves descriptors to the numbers from firstDescriptor on, where they stay open in
// the next program. It needs one more than there are.
func place(descriptors []int) error {
	index := make(map[int]int, len(descriptors)) // of descriptors that are not placed
	for i, d := range descriptors {
		index[d] = i
	}
	for i := range descriptors {
		from, target := descriptors[i], firstDescriptor+i
		delete(index, from)
		if from == target {
			if _, err := unix.FcntlInt(uintptr(from), unix.F_SETFD, 0); err != nil {
				return err
			}
			continue
		}
		if displaced, ok := index[target]; ok {
			moved, err := unix.FcntlInt(uintptr(target), unix.F_DUPFD_CLOEXEC, firstDescriptor+len(descriptors))
			if err != nil {
				return err
			}
			delete(index, target)
			descriptors[displaced], index[moved] = moved, displaced
		}
		if err := unix.Dup3(from, target, 0); err != nil {
			return err
		}
		_ = unix.Close(from)
	}
	return nil
}

// action is a struct sigaction of the kernel, which begins with the handler.
type action [8]uint64

// ignoreHangups makes this process ignore SIGHUP until restore is called. A program of Go keeps that
// until it handles the signal. Blocking does not suffice: its runtime unblocks SIGHUP before it has a
// handler, and the process would end.
func ignoreHangups() (restore func(), err error) {
	const ignore = 1 // SIG_IGN
	var before action
	if err := setAction(unix.SIGHUP, &action{ignore}, &before); err != nil {
		return nil, err
	}
	return func() { _ = setAction(unix.SIGHUP, &before, nil) }, nil
}

func setAction(signal unix.Signal, next, before *action) error {
	const maskBytes = 8
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(next)), uintptr(unsafe.Pointer(before)), maskBytes, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// blockSignals blocks signals that would end a program before it handles them. Go unblocks
// them when they are handled, and they are delivered then.
func blockSignals(signals ...unix.Signal) error {
	var set unix.Sigset_t
	for _, s := range signals {
		set.Val[0] |= 1 << (s - 1) // signals 1 to 32 are in the first word
	}
	return unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil)
}
