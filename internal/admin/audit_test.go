package admin

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func newTestAudit(t *testing.T, log *bytes.Buffer) *audit {
	t.Helper()
	a := newAudit(t.TempDir(), slog.New(slog.NewTextHandler(log, nil)), prometheus.NewCounter(prometheus.CounterOpts{Name: "failures"}))
	t.Cleanup(a.close)
	return a
}

// A record is synced when add returns.
func TestAuditIsSynced(t *testing.T) {
	a := newTestAudit(t, new(bytes.Buffer))
	synced := 0
	a.lines.Sync = func(f *os.File) error {
		synced++
		text, err := os.ReadFile(f.Name())
		if err != nil || strings.Count(string(text), "\n") != synced {
			t.Errorf("synced before the record was written: %s, %v", text, err)
		}
		return f.Sync()
	}
	for range 3 {
		a.add(record{Time: time.Now(), Method: "PATCH", Status: 200})
	}
	if synced != 3 || len(readRecords(t, a.lines.Dir)) != 3 {
		t.Errorf("%d syncs", synced)
	}
}

// The files are bounded, and have all records except the oldest.
func TestAuditIsRotated(t *testing.T) {
	a := newTestAudit(t, new(bytes.Buffer))
	a.lines.MaxBytes = 1000
	const records = 200
	for i := range records {
		a.add(record{Time: time.Now(), Path: fmt.Sprintf("/%03d", i), Status: 200})
	}
	seen := ""
	for i := auditFiles - 1; i >= 0; i-- {
		text, err := os.ReadFile(a.lines.Path(i))
		if err != nil || len(text) > 1000 {
			t.Errorf("%s has %d bytes, %v", a.lines.Path(i), len(text), err)
		}
		seen += string(text)
	}
	first := strings.Index(seen, `"path":"/`)
	for i := records - strings.Count(seen, "\n"); i < records; i++ {
		if !strings.Contains(seen, fmt.Sprintf(`"path":"/%03d"`, i)) {
			t.Errorf("record %d is missing", i)
		}
	}
	if entries, err := os.ReadDir(a.lines.Dir); err != nil || len(entries) != auditFiles || first < 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// A failure to write is counted and logged with the record; its start and its end are logged once.
func TestAuditFailure(t *testing.T) {
	log := new(bytes.Buffer)
	a := newTestAudit(t, log)
	a.add(record{Time: time.Now(), Path: "/before", Status: 200})
	a.lines.Sync = func(*os.File) error { return errors.New("no space left on device") }
	for range 3 {
		a.add(record{Time: time.Now(), Path: "/lost", Status: 200})
	}
	a.lines.Sync = (*os.File).Sync
	a.add(record{Time: time.Now(), Path: "/after", Status: 200})
	if failures := testutil.ToFloat64(a.failures); failures != 3 {
		t.Errorf("%v failures are counted", failures)
	}
	for text, times := range map[string]int{"the audit log cannot be written": 1, "no space left on device": 1, "/lost": 3, "the audit log can be written again": 1} {
		if got := strings.Count(log.String(), text); got != times {
			t.Errorf("%q is logged %d times, want %d:\n%s", text, got, times, log)
		}
	}
	if all := readRecords(t, a.lines.Dir); len(all) != 2 || all[1].Path != "/after" {
		t.Errorf("%+v", all)
	}
}

// An incomplete line, which a crash left, does not damage the next record, and links are not
// followed.
func TestAuditFile(t *testing.T) {
	a := newTestAudit(t, new(bytes.Buffer))
	if err := os.WriteFile(a.lines.Path(0), []byte(`{"time":`), 0o600); err != nil {
		t.Fatal(err)
	}
	a.add(record{Time: time.Now(), Path: "/next", Status: 200})
	text, err := os.ReadFile(a.lines.Path(0))
	if err != nil || !strings.HasPrefix(string(text), "{\"time\":\n{\"time\":\"") {
		t.Errorf("%s, %v", text, err)
	}

	moved := filepath.Join(a.lines.Dir, "moved")
	if err := os.Rename(a.lines.Path(0), moved); err != nil {
		t.Fatal(err)
	}
	a.add(record{Time: time.Now(), Path: "/new-file", Status: 200})
	if all := readRecords(t, a.lines.Dir); len(all) != 1 || all[0].Path != "/new-file" {
		t.Errorf("after the file was moved away: %+v", all)
	}

	a = newTestAudit(t, new(bytes.Buffer))
	if err := os.Symlink(moved, a.lines.Path(0)); err != nil {
		t.Skip("there are no links: ", err)
	}
	before, _ := os.ReadFile(moved)
	a.add(record{Time: time.Now(), Path: "/linked", Status: 200})
	if after, err := os.ReadFile(moved); err != nil || string(after) != string(before) || testutil.ToFloat64(a.failures) != 1 {
		t.Errorf("the link was followed: %v", err)
	}
}

// Refused requests cannot displace other records.
func TestRefusedRequestsAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTestAudit(t, new(bytes.Buffer))
		a.lines.Sync = func(*os.File) error { return nil }
		for range refusedBurst + 500 {
			a.add(record{Time: time.Now(), Code: string(unauthorized), Status: 401})
		}
		a.add(record{Time: time.Now(), Path: "/served", Status: 200})
		all := readRecords(t, a.lines.Dir)
		if len(all) != refusedBurst+1 || all[refusedBurst].Path != "/served" || all[refusedBurst].Unrecorded != 500 {
			t.Errorf("%d records, the last one %+v", len(all), all[len(all)-1])
		}
		time.Sleep(time.Minute)
		for range 10 {
			a.add(record{Time: time.Now(), Code: string(unauthorized), Status: 401})
		}
		if got := len(readRecords(t, a.lines.Dir)) - len(all); got != 6 {
			t.Errorf("%d records a minute later", got)
		}
	})
}

// A flood of refused requests with long texts displaces no record: the records of all refused
// requests that are recorded at once fit into a part of one file.
func TestRecordsOfRefusedRequestsAreShort(t *testing.T) {
	a := newTestAudit(t, new(bytes.Buffer))
	long := strings.Repeat("\xff", maxHeaderBytes)
	a.add(record{Time: time.Now(), Method: long, Path: long, Query: long, IfMatch: long, Code: string(unauthorized), Status: 401})
	a.add(record{Time: time.Now(), Query: "emitter=" + strings.Repeat("e", 1000), Status: 200})
	all := readRecords(t, a.lines.Dir)
	if len(all) != 2 || len(all[1].Query) != 1008 {
		t.Fatalf("%+v", all)
	}
	text, err := os.ReadFile(a.lines.Path(0))
	if err != nil {
		t.Fatal(err)
	}
	if one := int64(len(text) - len(all[1].Query)); one*refusedBurst > auditBytes/2 {
		t.Errorf("a refused request takes %d bytes", one)
	}
}

// Neither served requests nor refused requests of other actors prevent the record of a refused
// request.
func TestRefusedRequestsOfOneActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTestAudit(t, new(bytes.Buffer))
		a.lines.Sync = func(*os.File) error { return nil }
		for range refusedBurst {
			a.add(record{Time: time.Now(), Actor: "viewer", Status: 200})
			a.add(record{Time: time.Now(), Code: string(unauthorized), Status: 401})
		}
		a.add(record{Time: time.Now(), Code: string(unauthorized), Status: 401})
		a.add(record{Time: time.Now(), Actor: "viewer", Code: string(forbidden), Status: 403})
		all := readRecords(t, a.lines.Dir)
		if last := all[len(all)-1]; len(all) != 2*refusedBurst+1 || last.Actor != "viewer" || last.Status != 403 || last.Unrecorded != 1 {
			t.Errorf("%d records, the last one %+v", len(all), last)
		}
	})
}
