package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/events"
)

// rejected starts a system with two dead letters, and returns the id of the first.
func rejected(t *testing.T) (s *system, id string) {
	t.Helper()
	s = startSystem(t, "admin_token: secret-of-operators\nadmin_tokens_file: "+withTokens(t).TokensFile+"\n")
	s.header["Authorization"] = "Bearer secret-of-operators"
	for _, one := range s.analyzers {
		one.Behave(analyzertest.Behaviour{Status: 422})
	}
	s.send("web-1", 2)
	s.until("there are dead letters", func() bool { return s.ok("GET", "/v1/status", "").get("ledger.dead_lettered.packets") == 2.0 })
	return s, s.ok("GET", "/v1/dead-letters", "").get("dead_letters.0.id").(string)
}

// Packet contents need the role operate, and the audit log records the reader.
func TestReadersOfContent(t *testing.T) {
	s, id := rejected(t)
	reader := []string{"Authorization", "Bearer " + readToken}
	s.ok("GET", "/v1/dead-letters", "", reader...)
	s.want(403, forbidden, "GET", "/v1/dead-letters/"+id, "", reader...)
	s.want(403, forbidden, "GET", "/v1/tap?bodies=true", "", reader...)
	s.ok("GET", "/v1/dead-letters/"+id, "")
	records := readRecords(t, s.Config().Distributor.DataDir)
	if len(records) != 3 || records[0].Actor != "viewer" || records[0].Status != 403 || records[2].Actor != "ADMIN_TOKEN" || records[2].Method != "GET" ||
		records[2].DeadLetters == nil || records[2].DeadLetters.IDs[0] != id {
		t.Errorf("%+v", records)
	}
}

// Records and events name the dead letters that were replayed or deleted, and their number.
func TestRecordsOfDeadLetters(t *testing.T) {
	s, id := rejected(t)
	s.ok("POST", "/v1/dead-letters/delete?dry_run=true", `{"filter":{"emitter":"web-1"},"expect_count":2}`)
	for _, one := range s.analyzers {
		one.Behave(analyzertest.Behaviour{})
	}
	s.want(202, "", "POST", "/v1/dead-letters/replay", fmt.Sprintf(`{"ids":[%q],"rate":0.001,"reason":"mended"}`, id))
	s.ok("POST", "/v1/dead-letters/delete", `{"filter":{"emitter":"web-1"},"expect_count":2,"reason":"noise"}`)
	s.ok("POST", "/v1/dead-letters/delete", fmt.Sprintf(`{"filter":{"emitter":%q},"expect_count":0}`, strings.Repeat("e", 1000)))
	want := []string{
		`{"filter":{"emitter":"web-1"},"expect_count":2,"matched":0}`,
		fmt.Sprintf(`{"ids":[%q],"matched":1}`, id),
		`{"filter":{"emitter":"web-1"},"expect_count":2,"matched":2}`,
		fmt.Sprintf(`{"filter":{"emitter":"%s…"},"matched":0}`, strings.Repeat("e", maxRecordedBytes)),
	}
	records := readRecords(t, s.Config().Distributor.DataDir)
	if len(records) != len(want) {
		t.Fatalf("%+v", records)
	}
	for i, one := range records {
		if text, err := json.Marshal(one.DeadLetters); err != nil || string(text) != want[i] {
			t.Errorf("%s, want %s", text, want[i])
		}
	}
	var reported []events.Event
	for _, e := range s.Events().After(0, 100) {
		if strings.HasPrefix(e.Kind, "dead_letters_") {
			reported = append(reported, e)
		}
	}
	if len(reported) != 3 || reported[0].Kind != "dead_letters_replayed" || reported[0].Reason != "mended" || reported[1].Kind != "dead_letters_deleted" || reported[1].Actor != "ADMIN_TOKEN" {
		t.Fatalf("%+v", reported)
	}
	if text, err := json.Marshal(reported[1].Detail); err != nil || string(text) != want[2] {
		t.Errorf("%s, want %s", text, want[2])
	}
}
