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

// A failed write refuses the commit, is logged once and retried; packets that were taken before are
// delivered meanwhile.
func TestWriteFailureIsRetried(t *testing.T) {
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
	j.Ack(journaltest.Fetch(j, nil, 1)) // the failing commit will have its record
	f.disk.fail(operation, cause)
	for range 3 {
		n, err := j.Append(f.make(t, 900, 901))
		if n != 0 || !errors.Is(err, journal.ErrUnwritable) || !errors.Is(err, cause) {
			t.Fatalf("Append with a failing %s: %d, %v", operation, n, err)
		}
	}
	if err := j.CheckCapacity(1); !errors.Is(err, journal.ErrUnwritable) {
		t.Errorf("CheckCapacity: %v", err)
	}
	j.Ack(journaltest.Fetch(j, nil, 1))
	time.Sleep(time.Minute)
	if j.Status().Unwritable == nil {
		t.Error("the journal counts as writable")
	}
	if got := f.log.count("level=ERROR"); got != 1 {
		t.Errorf("one failure is logged %d times: %s", got, f.log.String())
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
	same(t, "after it healed", idsOf(t, fetchAll(t, j)), []int{2, 3, 4})
	j.Close()
}

// A failed commit may be on disk. The header of the next segment invalidates it.
func TestFailedCommitStaysInvalid(t *testing.T) {
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
			t.Fatalf("Append: %d, %v", n, err)
		}
		f.disk.fail("", nil)
		time.Sleep(time.Minute)
		f.put(t, j, 1)
		f.kill(j)
		j = f.open(t)
		same(t, "after the failed commit", idsOf(t, fetchAll(t, j)), []int{0, 1})
		if f.log.count("damage") > 0 {
			t.Errorf("a failed commit is reported as damage: %s", f.log.String())
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
		f.disk.free = 1000
		j = f.open(t)
		same(t, "with a full disk", idsOf(t, fetchAll(t, j)), []int{0, 1})
		if _, err := j.Append(f.make(t, 2)); !errors.Is(err, journal.ErrUnwritable) {
			t.Errorf("Append with a full disk: %v", err)
		}
		f.disk.mu.Lock()
		f.disk.free = 1 << 30
		f.disk.mu.Unlock()
		time.Sleep(time.Minute)
		f.put(t, j, 2)
		j.Close()
	})
}

// Pending Appends are refused when a commit fails.
func TestPendingAppendsAreRefused(t *testing.T) {
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
				t.Errorf("Append: %v", err)
			}
		}
		f.disk.fail("", nil)
		j.Close()
	})
}
