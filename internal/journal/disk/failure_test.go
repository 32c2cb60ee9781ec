package disk

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
)

// Any failure of a write refuses the commit, is told once, and heals by itself;
// what was taken before is delivered meanwhile.
func TestWriteFailureHeals(t *testing.T) {
	for _, operation := range []string{"write", "sync"} {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
			t.Run(operation+" "+cause.Error(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { failAndHeal(t, operation, cause) })
			})
		}
	}
}

func failAndHeal(t *testing.T, operation string, cause error) {
	f := newFixture()
	j := f.open(t)
	f.put(t, j, 0, 1, 2)
	j.Ack(journaltest.Fetch(j, nil, 1)) // its record will be in the commit that fails
	f.disk.fail(operation, cause)
	for range 3 {
		n, err := j.Append(f.make(t, 900, 901))
		if n != 0 || !errors.Is(err, journal.ErrUnwritable) || !errors.Is(err, cause) {
			t.Fatalf("Put with a failing %s: %d, %v", operation, n, err)
		}
	}
	if err := j.CheckCapacity(1); !errors.Is(err, journal.ErrUnwritable) {
		t.Errorf("Room: %v", err)
	}
	j.Ack(journaltest.Fetch(j, nil, 1))
	time.Sleep(time.Minute)
	if j.Status().Unwritable == nil {
		t.Error("the journal counts as writable")
	}
	if got := f.log.count("level=ERROR"); got != 1 {
		t.Errorf("one failure made %d lines: %s", got, f.log.String())
	}
	f.disk.fail("", nil)
	time.Sleep(2 * maxRetryDelay)
	synctest.Wait()
	if err := j.Status().Unwritable; err != nil {
		t.Fatalf("still unwritable: %v", err)
	}
	f.put(t, j, 3, 4)
	time.Sleep(2 * acksDelay)
	f.kill(j)
	j = f.open(t)
	same(t, "after it healed", idsOf(t, claimAll(t, j)), []int{2, 3, 4})
	j.Close()
}

// A commit that failed may be on the disk all the same. The header of the next
// segment says that its packets were never accepted.
func TestFailedCommitDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		j := f.open(t)
		f.put(t, j, 0)
		f.disk.mu.Lock()
		f.disk.failure = func(operation, path string) error {
			if operation == "sync" || operation == "truncate" {
				return syscall.EIO
			}
			return nil
		}
		f.disk.mu.Unlock()
		if n, err := j.Append(f.make(t, 900, 901)); n != 0 || err == nil {
			t.Fatalf("Put: %d, %v", n, err)
		}
		f.disk.fail("", nil)
		time.Sleep(time.Minute)
		f.put(t, j, 1)
		f.kill(j)
		j = f.open(t)
		same(t, "after the failed commit", idsOf(t, claimAll(t, j)), []int{0, 1})
		if f.log.count("damage") > 0 {
			t.Errorf("a failed commit is told as damage: %s", f.log.String())
		}
		j.Close()
	})
}

func TestFullDiskAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		j := f.open(t)
		f.put(t, j, 0, 1)
		f.kill(j)
		f.disk.room = 1000
		j = f.open(t)
		same(t, "with a full disk", idsOf(t, claimAll(t, j)), []int{0, 1})
		if _, err := j.Append(f.make(t, 2)); !errors.Is(err, journal.ErrUnwritable) {
			t.Errorf("Put with a full disk: %v", err)
		}
		f.disk.mu.Lock()
		f.disk.room = 1 << 30
		f.disk.mu.Unlock()
		time.Sleep(time.Minute)
		f.put(t, j, 2)
		j.Close()
	})
}

// Puts that wait while a commit fails are refused as well, and nobody hangs.
func TestWaitingPutsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		j := f.open(t)
		hold := make(chan struct{})
		f.disk.mu.Lock()
		f.disk.failure = func(operation, _ string) error {
			if operation != "sync" {
				return nil
			}
			f.disk.mu.Unlock()
			<-hold
			f.disk.mu.Lock()
			return syscall.EIO
		}
		f.disk.mu.Unlock()
		results := make(chan error, 10)
		for id := range 10 {
			batch := f.make(t, id)
			go func() {
				_, err := j.Append(batch)
				results <- err
			}()
		}
		synctest.Wait()
		close(hold)
		for range 10 {
			if err := <-results; !errors.Is(err, journal.ErrUnwritable) {
				t.Errorf("Put: %v", err)
			}
		}
		f.disk.fail("", nil)
		j.Close()
	})
}
