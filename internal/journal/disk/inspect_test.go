package disk

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// inspected is a journal in use with 20 packets, one of which has line breaks.
func inspected(t *testing.T) (dir string, j *Journal, registry *prometheus.Registry) {
	t.Helper()
	dir, registry = t.TempDir(), prometheus.NewRegistry()
	j, err := Open(
		Config{Dir: dir, MaxBytes: 16 << 20, MemoryLimitBytes: 16 << 20},
		Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}, Registerer: registry},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	var packets journaltest.Packets
	var batch []*packet.Packet
	for id := range 20 {
		batch = append(batch, packets.Make(t, "e", fmt.Sprint(id), 300))
	}
	lines := "{\n\"emitter_id\": \"e\",\r\n\"packet_id\":\"lines\", \"messages\":[{\"timestamp\":1,\"level\":\"INFO\",\"message\":\"m\"}]}"
	info, err := packet.Check([]byte(lines), 1)
	if err != nil {
		t.Fatal(err)
	}
	batch = append(batch, new(packet.Pool).New([]byte(lines), info))
	if _, err := j.Append(batch); err != nil {
		t.Fatal(err)
	}
	return dir, j, registry
}

func TestVerify(t *testing.T) {
	dir, j, registry := inspected(t)
	report, err := Verify(dir)
	if err != nil {
		t.Fatal(err)
	}
	if report.Undelivered.Packets != 21 || report.Undelivered.Messages != j.Stats().Queued.Messages ||
		report.Undelivered.Bytes != j.Stats().Queued.Bytes || report.Undelivered.Oldest == nil ||
		len(report.Segments) != 1 || report.NextSequence != 22 || len(report.Damages) != 0 {
		t.Errorf("report: %+v", report)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
	expected := `
# HELP distributor_journal_bytes Bytes of the journal on disk.
# TYPE distributor_journal_bytes gauge
distributor_journal_bytes ` + fmt.Sprint(report.Bytes) + `
# HELP distributor_journal_commits_total Group commits that reached stable storage.
# TYPE distributor_journal_commits_total counter
distributor_journal_commits_total 1
# HELP distributor_journal_limit_bytes Maximum bytes of the journal on disk (JOURNAL_MAX_BYTES).
# TYPE distributor_journal_limit_bytes gauge
distributor_journal_limit_bytes 1.6777216e+07
# HELP distributor_journal_quarantined_packets_total Accepted, undelivered packets that could not be read back and were quarantined.
# TYPE distributor_journal_quarantined_packets_total counter
distributor_journal_quarantined_packets_total 0
# HELP distributor_journal_writable 1 while the journal is writable, else 0.
# TYPE distributor_journal_writable gauge
distributor_journal_writable 1
# HELP distributor_journal_write_errors_total Failed writes and syncs of the journal.
# TYPE distributor_journal_write_errors_total counter
distributor_journal_write_errors_total 0
`
	err = testutil.GatherAndCompare(registry, strings.NewReader(expected),
		"distributor_journal_bytes", "distributor_journal_commits_total", "distributor_journal_limit_bytes",
		"distributor_journal_quarantined_packets_total", "distributor_journal_writable", "distributor_journal_write_errors_total")
	if err != nil {
		t.Error(err)
	}
}

func TestExport(t *testing.T) {
	dir, j, _ := inspected(t)
	j.Ack(journaltest.Fetch(j, nil, 5))
	j.Close()
	var out bytes.Buffer
	written, err := Export(dir, &out)
	if err != nil || written != 16 {
		t.Fatalf("Export wrote %d packets: %v", written, err)
	}
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, line := range got {
		if info, err := packet.Check([]byte(line), 10); err != nil {
			t.Errorf("line %d: %v", i, err)
		} else if id := string(info.PacketID.Raw([]byte(line))); i < 15 && id != fmt.Sprint(i+5) {
			t.Errorf("line %d is packet %s", i, id)
		}
	}
	if len(got) != 16 || got[0] != string(journaltest.Body("e", "5", 2, 300)) {
		t.Errorf("%d lines, the first is %s", len(got), got[0])
	}
}

func TestVerifyReportsDamage(t *testing.T) {
	dir := t.TempDir()
	segments := smallLog(t)
	if err := os.MkdirAll(filepath.Join(dir, segmentsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, content := range segments {
		if strings.HasSuffix(path, "1"+segmentSuffix) {
			content = slices.Clone(content)
			content[ends(t, content)[3]-20] ^= 1
		}
		if err := os.WriteFile(filepath.Join(dir, segmentsDir, filepath.Base(path)), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report, err := Verify(dir)
	if err == nil || report.LostPackets() != 1 || report.Damages[0].First != 3 {
		t.Errorf("Verify: %+v, %v", report, err)
	}
	var out bytes.Buffer
	if written, err := Export(dir, &out); written != 7 || err == nil {
		t.Errorf("Export wrote %d packets: %v", written, err)
	}
	if _, err := Inspect(dir); err != nil {
		t.Errorf("Inspect: %v", err)
	}
	if _, err := Inspect(filepath.Join(dir, "nothing")); err == nil {
		t.Error("Inspect of a directory that is not there succeeded")
	}
}

// A commit that is being written looks like damage once; real damage is found twice.
func TestTransientDamageIsIgnored(t *testing.T) {
	segments := smallLog(t)
	path := slices.Max(slices.Collect(maps.Keys(segments)))
	at := ends(t, segments[path])
	written := slices.Clone(segments[path])
	for _, stays := range []bool{false, true} {
		partial := slices.Clone(written[:at[8]])
		clear(partial[at[7]+10 : at[8]-10]) // one page of the commit is not written yet
		f := fixtureWith(with(segments, path, partial))
		found, err := readTwice(f.disk.process(), "/data", func() {
			if !stays { // the commit is complete, and the next one is being written
				next := slices.Clone(written[:at[9]])
				clear(next[at[8]+10 : at[9]-10])
				f.disk.files[path].now = next
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if lost := found.report().LostPackets(); (lost > 0) != stays || (len(found.damages) > 0) != stays {
			t.Errorf("stays: %v, and %d packets are reported lost: %+v", stays, lost, found.damages)
		}
	}
}

// Verify fails on a read error even if no packet is known to be lost.
func TestVerifyReportsReadErrors(t *testing.T) {
	report := Report{Damages: []Damage{{Segment: "s", Offset: 4096, Unread: true, Reason: "input/output error"}}}
	if err := report.err(0); err == nil || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("the verdict is %v", err)
	}
	if err := (Report{}).err(0); err != nil {
		t.Errorf("nothing is damaged, and the verdict is %v", err)
	}
}
