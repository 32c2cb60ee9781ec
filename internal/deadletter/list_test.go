package deadletter

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// ids returns the ids of all records.
func (f *fixture) ids() []string {
	f.Helper()
	page, err := f.store.List(f.Context(), Filter{}, "", MaxPage)
	if err != nil {
		f.Fatal(err)
	}
	var ids []string
	for _, r := range page.Records {
		ids = append(ids, r.ID)
	}
	return ids
}

// delete deletes dead letters by their ids.
func (f *fixture) delete(ids ...string) {
	f.Helper()
	if n, err := f.store.Delete(f.Context(), Selection{IDs: ids}); err != nil || n != int64(len(ids)) {
		f.Fatalf("deleted %d of %v: %v", n, ids, err)
	}
}

func (f *fixture) marksFiles() int {
	found, err := os.ReadDir(f.store.config.Dir)
	if err != nil {
		f.Fatal(err)
	}
	n := 0
	for _, entry := range found {
		if strings.HasSuffix(entry.Name(), marksSuffix) {
			n++
		}
	}
	return n
}

// Lines that are no dead letters are skipped and counted; a line that is being written is
// not looked at.
func TestUnreadableLinesAreCounted(t *testing.T) {
	f := open(t, DefaultConfig(t.TempDir()))
	f.store.config.LineBytes = 1000
	f.add(bodyOf("1"))
	f.edit(func(text string) string {
		return "edited\n" + strings.Replace(text, `"messages"`, `"massages"`, 1) + text + strings.Repeat("x", 100_000) + "\n\n" + text[:50]
	})
	page, err := f.store.List(t.Context(), Filter{}, "", 10)
	if err != nil || len(page.Records) != 1 || page.Unreadable != 4 || page.Records[0].PacketID != "1" {
		t.Errorf("%+v, %v", page, err)
	}
	if count, err := f.store.Count(t.Context(), Filter{}); err != nil || count.Records != 1 || count.Unreadable != 4 {
		t.Errorf("%+v, %v", count, err)
	}
}

// edit changes the content of the only file, as with an editor.
func (f *fixture) edit(change func(string) string) {
	f.Helper()
	name := f.files()[0]
	text, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(change(string(text))), 0o600); err != nil {
		f.Fatal(err)
	}
}

func TestIDs(t *testing.T) {
	f := open(t, DefaultConfig(t.TempDir()+"/dead"))
	if page, err := f.store.List(t.Context(), Filter{}, "", 1); err != nil || len(page.Records) != 0 {
		t.Errorf("without a directory: %+v, %v", page, err)
	}
	f.add(bodyOf("1"), bodyOf("2"))
	secret := filepath.Join(f.store.config.Dir, "..", filePrefix+"1"+fileSuffix)
	if err := os.WriteFile(secret, appendLine(nil, f.entry(bodyOf("secret")), epoch), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(f.store.config.Dir, filePrefix+"2"+fileSuffix)); err != nil {
		t.Skip(err)
	}
	id := f.ids()[1]
	file := id[:strings.LastIndexByte(id, '-')]
	var malformed *IDError
	var missing *NotFoundError
	for _, bad := range []string{"", "x", "-", file, file + "-", file + "-x", file + "-01", file + "-4294967296", "../" + filePrefix + "1-0", "1/../1-0"} {
		if _, _, err := f.store.Get(t.Context(), bad); !errors.As(err, &malformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, gone := range []string{file + "-1", file + "--1", file + "-4000000000", "1-0", "2-0"} {
		_, _, err := f.store.Get(t.Context(), gone)
		if gone != "2-0" && !errors.As(err, &missing) || err == nil {
			t.Errorf("%q: %v", gone, err)
		}
	}
	if r, body, err := f.store.Get(t.Context(), id); err != nil || r.PacketID != "2" || string(body) != bodyOf("2") || r.Detail != "the \"detail\"\n" {
		t.Errorf("%+v %s %v", r, body, err)
	}
}

func TestListLimits(t *testing.T) {
	f := open(t, DefaultConfig(t.TempDir()))
	e := f.entry(bodyOf("1"))
	e.Detail = strings.Repeat("é", 1000)
	f.store.Add([]Entry{e})
	for _, limit := range []int{-1, 0, MaxPage + 1} {
		if _, err := f.store.List(t.Context(), Filter{}, "", limit); err == nil || !strings.Contains(err.Error(), "from 1 to 1000") {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	page, err := f.store.List(t.Context(), Filter{}, "", 1)
	if err != nil || page.Records[0].Detail != strings.Repeat("é", maxListedDetail/2)+"…" {
		t.Errorf("%+v, %v", page, err)
	}
}

// A file goes once all of its dead letters are deleted, with its marks; not if another was
// added.
func TestDeletedFilesAreRemoved(t *testing.T) {
	config := DefaultConfig(t.TempDir())
	config.Durable = true
	f := open(t, config)
	f.add(bodyOf("1"), bodyOf("2"))
	ids := f.ids()
	f.delete(ids[0])
	f.add(bodyOf("3"))
	if len(f.ids()) != 2 || len(f.files()) != 1 || f.marksFiles() != 1 {
		t.Errorf("after one: %v, %v, %d files of marks", f.ids(), f.files(), f.marksFiles())
	}
	f.delete(f.ids()...)
	if len(f.files()) != 0 || f.marksFiles() != 0 {
		t.Errorf("after all: %v, %d files of marks", f.files(), f.marksFiles())
	}
	f.add(bodyOf("4"))
	f.wantPackets(bodyOf("4"))
	if got := testutil.ToFloat64(f.metrics.deleted); got != 3 {
		t.Errorf("%v are counted as deleted", got)
	}
}

// An entry that waits for its sync keeps its file: its packet is still the router's.
func TestUnsyncedFileIsNotRemoved(t *testing.T) {
	config := DefaultConfig(t.TempDir())
	config.Durable = true
	f := open(t, config)
	b := f.write(bodyOf("1"))
	f.delete(f.ids()...)
	if len(f.files()) != 1 {
		t.Error("the file was removed")
	}
	if err := f.store.sync(b); err != nil {
		t.Error(err)
	}
}

// Marks go with their file, whoever removed it.
func TestMarksAreRemovedWithTheirFile(t *testing.T) {
	f := open(t, Config{Dir: t.TempDir(), FileBytes: 500, Files: 3, LineBytes: 1000})
	for i := range 20 {
		f.add(bodyOf(fmt.Sprint(i)))
		if err := f.store.marks.add(filepath.Base(f.files()[len(f.files())-1]), []mark{{uint32(i), 0, markReplayed}}); err != nil {
			t.Fatal(err)
		}
		if i == 10 {
			if err := os.Remove(f.files()[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := f.marksFiles(); got != 3 {
		t.Errorf("%d files of marks", got)
	}
}

// What was replayed or deleted is not exported, and so not sent again.
func TestMarkedDeadLettersAreNotExported(t *testing.T) {
	f := open(t, DefaultConfig(t.TempDir()))
	f.add(bodyOf("1"), bodyOf("2"), bodyOf("3"))
	f.delete(f.ids()[0])
	r := NewReplayer(f.store, &limitedJournal{capacity: 1}, &pool, f.store.logger)
	start(t, r, Selection{IDs: f.ids()[:1]}, 1000)
	r.running.Wait()
	var out bytes.Buffer
	if err := Export(f.store.config.Dir, &out); err != nil || strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), bodyOf("3")+"}\n") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// A mark holds for its dead letter only, not for what stands in its place in a file that
// was edited; a torn mark does not spoil the next.
func TestMarksKnowTheirDeadLetter(t *testing.T) {
	f := open(t, DefaultConfig(t.TempDir()))
	f.add(bodyOf("1"), bodyOf("2"), bodyOf("3"))
	ids := f.ids()
	f.delete(ids[0])
	path := marksPath(f.store.config.Dir, filepath.Base(f.files()[0]))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, "300 del"...), 0o600); err != nil {
		t.Fatal(err)
	}
	f.delete(ids[1])
	again := New(f.store.config, f.store.logger, f.metrics)
	if page, err := again.List(t.Context(), Filter{}, "", 9); err != nil || len(page.Records) != 1 || page.Records[0].ID != ids[2] {
		t.Errorf("%+v, %v", page, err)
	}
	f.edit(func(text string) string { return strings.ReplaceAll(text, `"packet_id":"1"`, `"packet_id":"9"`) })
	if page, err := again.List(t.Context(), Filter{}, "", 9); err != nil || len(page.Records) != 2 || page.Records[0].PacketID != "9" {
		t.Errorf("edited: %+v, %v", page, err)
	}
}

// A file of marks that is far too large is read in part.
func TestMarksAreBounded(t *testing.T) {
	marks, err := readMarks(bytes.NewReader([]byte(strings.Repeat("1 deleted 00000000\n", 1000))), 10)
	if err != nil || len(marks) != 10 {
		t.Errorf("%d marks, %v", len(marks), err)
	}
}

func TestSelections(t *testing.T) {
	f := open(t, DefaultConfig(t.TempDir()))
	f.add(bodyOf("1"), bodyOf("2"))
	ids := f.ids()
	for _, s := range []Selection{{}, {IDs: ids, Filter: &Filter{}}, {IDs: make([]string, MaxIDs+1)}} {
		var malformed *SelectionError
		if _, err := f.store.Delete(t.Context(), s); !errors.As(err, &malformed) {
			t.Errorf("%d ids: %v", len(s.IDs), err)
		}
	}
	var missing *NotFoundError
	if _, err := f.store.Delete(t.Context(), Selection{IDs: []string{ids[0], ids[1] + "0"}}); !errors.As(err, &missing) {
		t.Errorf("an unknown id: %v", err)
	}
	var mismatch *CountError
	if _, err := f.store.Delete(t.Context(), Selection{Filter: &Filter{}, ExpectCount: 1}); !errors.As(err, &mismatch) || *mismatch != (CountError{1, 2}) {
		t.Errorf("a wrong count: %v", err)
	}
	if got := f.ids(); len(got) != 2 {
		t.Errorf("%v are left", got)
	}
}

// Dead letters are listed while others are added, files removed and dead letters deleted.
func TestListWhileFilesRotate(t *testing.T) {
	f := open(t, Config{Dir: t.TempDir(), FileBytes: 500, Files: 3, LineBytes: 1000})
	var writes sync.WaitGroup
	writes.Go(func() {
		for i := range 300 {
			f.add(bodyOf(fmt.Sprint(i)))
		}
	})
	done := make(chan struct{})
	go func() {
		writes.Wait()
		close(done)
	}()
	for {
		page, err := f.store.List(t.Context(), Filter{Emitter: "e"}, "", 100)
		if err != nil || page.Unreadable != 0 {
			t.Fatalf("%d unreadable, %v", page.Unreadable, err)
		}
		for i, r := range page.Records {
			if r.Messages != 1 || i > 0 && r.Time.Before(page.Records[i-1].Time) {
				t.Fatalf("%+v", page.Records)
			}
		}
		if len(page.Records) > 0 {
			var gone *NotFoundError
			if _, err := f.store.Delete(t.Context(), Selection{IDs: []string{page.Records[0].ID}}); err != nil && !errors.As(err, &gone) && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
