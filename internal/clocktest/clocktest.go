// Package clocktest makes times as a wall clock shows them that was set, for tests.
package clocktest

import (
	"testing"
	"time"
	"unsafe"
)

// SetBack returns a moment, which time.Now made, as it would be had the wall clock
// been set back by some seconds meanwhile: its monotonic reading stays.
func SetBack(t testing.TB, moment time.Time, by time.Duration) time.Time {
	t.Helper()
	// A time's first word is a flag, 33 bits of seconds and 30 bits of nanoseconds.
	const second = 1 << 30
	set := moment
	*(*uint64)(unsafe.Pointer(&set)) -= uint64(by/time.Second) * second
	if set.Sub(moment) != 0 || moment.Round(0).Sub(set.Round(0)) != by {
		t.Skip("this version of Go keeps times otherwise, or the moment has no monotonic reading")
	}
	return set
}
