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
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// A credentialReload runs a controller whose configuration names a file of tokens and a CA.
type credentialReload struct {
	*running
	tokens, ca string // paths
	settings   string
	packets    int
}

func newCredentialReload(t *testing.T, authority []byte) *credentialReload {
	dir := t.TempDir()
	c := &credentialReload{tokens: filepath.Join(dir, "tokens"), ca: filepath.Join(dir, "ca.pem")}
	writeFile(t, c.ca, string(authority))
	writeFile(t, c.tokens, tokenLine("first"))
	c.settings = fmt.Sprintf("ingest_tokens_file: %s\nanalyzer_ca: %s\n", c.tokens, c.ca)
	c.running = start(t, c.settings)
	return c
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tokenLine returns a line of a file of tokens.
func tokenLine(token string) string {
	return fmt.Sprintf("web sha256:%x\n", sha256.Sum256([]byte(token)))
}

// wantValid checks that the token is in use.
func (c *credentialReload) wantValid(token string) {
	c.t.Helper()
	c.packets++
	if got := c.ingest(token, fmt.Sprint(c.packets)); got != http.StatusAccepted {
		c.t.Errorf("%s: %d", token, got)
	}
}

// A refused reload does not put credential files in use; a reload whose credential files are
// invalid changes no setting; a dry run with such files is refused as well.
func TestReloadOfCredentials(t *testing.T) {
	ctx := t.Context()
	authority, err := certificatetest.NewAuthority("ca", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	c := newCredentialReload(t, authority.PEM)
	c.wantValid("first")
	writeFile(t, c.tokens, tokenLine("second"))
	for _, lines := range []string{"max_failures: -1\n", "rate_burst: 5\n", "journal: disk\n"} {
		c.write(c.twoAnalyzers() + c.settings + lines)
		if _, err := c.Reload(ctx, operator); err == nil {
			t.Errorf("%s is not refused", lines)
		}
		c.wantValid("first")
	}
	c.write(c.twoAnalyzers() + c.settings + "sender_retries: 9\n")
	writeFile(t, c.ca, "broken")
	for _, dryRun := range []bool{true, false} {
		request := operator
		request.DryRun = dryRun
		c.wantRefused(InvalidSetting)(c.Reload(ctx, request))
		if c.Distributor().Config().Analyzer.Retries == 9 {
			t.Error("a setting is in force")
		}
		c.wantValid("first")
	}
	writeFile(t, c.ca, string(authority.PEM))
	request := operator
	request.DryRun = true
	c.mustSucceed(c.Reload(ctx, request))
	c.wantValid("first")
	c.mustSucceed(c.Reload(ctx, operator))
	c.wantValid("second")
}
