package upgrade

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Descriptors end at consecutive numbers from 3 on, whatever numbers they have before and
// whatever has those numbers, and nothing changes for other threads.
func TestPlace(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 2, 3, 0}, {2, 0, 3, 1}} {
		var files []*os.File
		for range order {
			f, err := os.CreateTemp(t.TempDir(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files = append(files, f)
		}
		var want []uint64 // inodes
		var descriptors []int
		for _, i := range order {
			descriptors = append(descriptors, int(files[i].Fd()))
			want = append(want, inode(t, descriptors[len(descriptors)-1]))
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
			if err := unshareDescriptors(); err != nil {
				t.Error(err)
				return
			}
			defer unix.CloseRange(0, ^uint(0)>>32, 0) //nolint:errcheck // the main thread does not end
			checkPlace(t, descriptors, want)
		}()
		<-done
		for i, f := range files {
			if _, err := f.WriteString("still open"); err != nil {
				t.Errorf("file %d: %v", i, err)
			}
		}
	}
}

// checkPlace places descriptors, of which two have the numbers of others, and checks that the
// new ones are open across an exec and have these inodes.
func checkPlace(t *testing.T, descriptors []int, want []uint64) {
	t.Helper()
	before := fmt.Sprint(descriptors)
	for i, target := range []int{4, 3} {
		if err := unix.Dup3(descriptors[i], target, unix.O_CLOEXEC); err != nil {
			t.Error(err)
		}
		descriptors[i] = target
	}
	if err := place(descriptors); err != nil {
		t.Error(err)
	}
	for i, inodeWanted := range want {
		flags, err := unix.FcntlInt(uintptr(firstDescriptor+i), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			t.Errorf("%v: descriptor %d: flags %x %v", before, firstDescriptor+i, flags, err)
		}
		if got := inode(t, firstDescriptor+i); got != inodeWanted {
			t.Errorf("%v: descriptor %d is another file", before, firstDescriptor+i)
		}
	}
}

func inode(t *testing.T, descriptor int) uint64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Fstat(descriptor, &stat); err != nil {
		t.Error(err)
	}
	return stat.Ino
}

// After an execution that fails the thread has the runtime's descriptors at their numbers: the
// runtime writes to one when the thread ends.
func TestFailedExecutionRestoresDescriptors(t *testing.T) {
	var files []syscall.Conn
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		files = append(files, l.(*net.TCPListener))
	}
	own, err := descriptorsOf(files)
	if err != nil {
		t.Fatal(err)
	}
	err = onOwnThread(func() error {
		before := linksOfDescriptors()
		for _, d := range own {
			delete(before, d)
		}
		failed := replaceFromThread("/does/not/exist", []string{"it"}, nil, files)
		for d, link := range before {
			if now, _ := os.Readlink(fmt.Sprintf("/proc/thread-self/fd/%d", d)); now != link {
				t.Errorf("descriptor %d is %q, and was %q", d, now, link)
			}
		}
		return failed
	})
	if !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
}

// linksOfDescriptors returns what the runtime's descriptors and others of the process refer to.
func linksOfDescriptors() map[int]string {
	links := make(map[int]string)
	for d := range 200 {
		if link, err := os.Readlink(fmt.Sprintf("/proc/thread-self/fd/%d", d)); err == nil {
			links[d] = link
		}
	}
	return links
}

// The main thread, which does not end, executes nothing.
func TestMainThreadIsNotUsed(t *testing.T) {
	threads := make(chan int)
	for range 8 {
		go func() {
			_ = onOwnThread(func() error { threads <- unix.Gettid(); return nil })
		}()
	}
	for range 8 {
		if <-threads == unix.Getpid() {
			t.Error("the main thread is used")
		}
	}
}

// The runtime does not look for events while the thread that executes the new binary has other
// files at the numbers of the runtime's own, also if that takes much memory.
func TestReplaceDuringCollections(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	var files []syscall.Conn
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		files = append(files, l.(*net.TCPListener))
	}
	environ := slices.Repeat([]string{"LARGE=" + strings.Repeat("x", 1<<10)}, 1<<10)
	for range 10 {
		if err := replace("/does/not/exist", []string{"it"}, environ, nil, files); !errors.Is(err, unix.ENOENT) {
			t.Error(err)
		}
	}
}

// SIGHUP is ignored until restore is called, and handled as before thereafter.
func TestIgnoreHangups(t *testing.T) {
	received := make(chan os.Signal, 10)
	signal.Notify(received, unix.SIGHUP)
	defer signal.Stop(received)
	restore, err := ignoreHangups()
	if err != nil {
		t.Fatal(err)
	}
	hangUp := func() {
		if err := unix.Kill(os.Getpid(), unix.SIGHUP); err != nil {
			t.Error(err)
		}
	}
	hangUp()
	restore()
	if len(received) > 0 {
		t.Error("SIGHUP was not ignored")
	}
	hangUp()
	<-received
}
