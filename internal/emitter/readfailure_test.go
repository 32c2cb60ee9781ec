package emitter

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// damaged is a file that cannot be read after its text.
type damaged string

var errDamaged = errors.New("input/output error")

func (d damaged) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= int64(len(d)) {
		return 0, errDamaged
	}
	n := copy(p, d[offset:])
	if n < len(p) {
		return n, errDamaged
	}
	return n, nil
}

// A read error does not end a line.
func TestSectionOfDamagedFile(t *testing.T) {
	text := "a\nb\nunfinish"
	in := newSection(damaged(text), 0, 100, errNoData)
	records := newRecordReader(in, nil)
	var got []string
	for {
		record, err := records.next()
		if err != nil {
			if !errors.Is(err, errNoData) {
				t.Errorf("next = %v", err)
			}
			break
		}
		got = append(got, string(record.text))
	}
	if !slices.Equal(got, []string{"a", "b"}) || !errors.Is(in.failure, errDamaged) {
		t.Errorf("%q, %v", got, in.failure)
	}
}

// After a temporary read error, and across a restart, reading continues at the same position: no
// line is lost or sent twice.
func TestUnreadableFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "log")
		a.append("log", "a\nb\n")
		a.start()
		a.read(100, func() bool { return false })
		unreadable := func() (mend func()) {
			directory, err := os.Open(a.dir)
			if err != nil {
				t.Fatal(err)
			}
			tail := a.s.(*followSource).tails[0]
			file := tail.file
			tail.file = directory
			return func() { tail.file = file; _ = directory.Close() }
		}
		mend := unreadable()
		a.append("log", "c\n")
		a.read(100, func() bool { return true })
		mend()
		a.read(100, func() bool { return false })
		a.kill()
		a.start()
		mend = unreadable()
		a.read(100, func() bool { return true })
		mend()
		a.read(100, func() bool { return true })
		if got := strings.Join(a.texts, " "); got != "a b c" {
			t.Errorf("got %q", got)
		}
		time.Sleep(time.Minute)
		if err := a.s.close(); err != nil {
			t.Error(err)
		}
	})
}
