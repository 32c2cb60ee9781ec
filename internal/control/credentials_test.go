package control

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
)

// ingest returns the status of a packet with a token.
func (r *running) ingest(token, id string) int {
	r.t.Helper()
	body := fmt.Sprintf(`{"emitter_id":"web","packet_id":%q,"messages":[{"timestamp":1640995200000,"level":"INFO","message":"m"}]}`, id)
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://"+r.Distributor().Addr()+"/ingest", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	request.Close = true
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// A reload that is refused puts no file of credentials in use, and one whose files cannot be
// used changes no setting; a dry run is refused, too.
func TestReloadOfCredentials(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	tokens, ca := filepath.Join(dir, "tokens"), filepath.Join(dir, "ca.pem")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line := func(token string) string { return fmt.Sprintf("web sha256:%x\n", sha256.Sum256([]byte(token))) }
	authority, err := certificatetest.NewAuthority("ca", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	write(tokens, line("first"))
	write(ca, string(authority.PEM))
	files := fmt.Sprintf("ingest_tokens_file: %s\nanalyzer_ca: %s\n", tokens, ca)
	r := start(t, files)
	packets := 0
	valid := func(token string) {
		t.Helper()
		packets++
		if got := r.ingest(token, fmt.Sprint(packets)); got != http.StatusAccepted {
			t.Errorf("%s: %d", token, got)
		}
	}
	valid("first")
	write(tokens, line("second"))
	for _, lines := range []string{"max_failures: -1\n", "rate_burst: 5\n", "journal: disk\n"} {
		r.write(r.twoAnalyzers() + files + lines)
		if _, err := r.Reload(ctx, operator); err == nil {
			t.Errorf("%s is not refused", lines)
		}
		valid("first")
	}
	r.write(r.twoAnalyzers() + files + "sender_retries: 9\n")
	write(ca, "broken")
	for _, dryRun := range []bool{true, false} {
		request := operator
		request.DryRun = dryRun
		result, err := r.Reload(ctx, request)
		r.wantRefused(InvalidSetting, result, err)
		if r.Distributor().Config().Analyzer.Retries == 9 {
			t.Error("a setting is in force")
		}
		valid("first")
	}
	write(ca, string(authority.PEM))
	request := operator
	request.DryRun = true
	r.mustSucceed(r.Reload(ctx, request))
	valid("first")
	r.mustSucceed(r.Reload(ctx, operator))
	valid("second")
}
