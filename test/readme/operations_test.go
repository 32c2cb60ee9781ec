package readme

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/adminclient/admintest"
	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/test/binary"
)

// recipes returns the lines of docs/operations.md that are meant to be pasted.
func recipes(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	_, rest, _ := strings.Cut(string(text), "```sh\n")
	for block := range strings.SplitSeq(rest, "```sh\n") {
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// The lines of docs/operations.md work as pasted, one after the other in one shell.
func TestRecipesWorkAsPasted(t *testing.T) {
	for _, program := range []string{"bash", "timeout", "sed"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	lines := recipes(t)
	if len(lines) < 30 {
		t.Fatalf("docs/operations.md has %d lines, at least 30 were expected", len(lines))
	}
	o := operate(t)
	var script strings.Builder
	for i, line := range lines {
		line = strings.ReplaceAll(line, "http://localhost:9004", o.fourth.URL())
		fmt.Fprintf(&script, "%s\necho \"=== %d $?\"\n", line, i)
	}
	command := exec.CommandContext(t.Context(), "bash")
	command.Stdin, command.Dir, command.Env = strings.NewReader(script.String()), o.dir, o.environment()
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, line := range lines {
		mark := fmt.Sprintf("=== %d ", i)
		output, rest, found := strings.Cut(string(out), mark)
		status, rest, _ := strings.Cut(rest, "\n")
		if out = []byte(rest); !found || status != "0" {
			t.Errorf("%s\nexited with %s:\n%s", line, status, output)
		}
	}
}

// operation is a distributor with an admin API.
type operation struct {
	*admintest.System
	dir, binary, token string
	fourth             *analyzertest.Analyzer // the distributor does not use it yet
}

func operate(t *testing.T) *operation {
	t.Helper()
	o := &operation{dir: t.TempDir(), binary: binary.New(t), fourth: analyzertest.New(t)}
	o.makeToken(t)
	o.System = admintest.StartSystem(t, o.dir, "journal: disk\nadmin_tokens_file: "+filepath.Join(o.dir, "tokens")+"\n", 0.5, 0.3, 0.2)
	o.makeDeadLetters(t)
	return o
}

var tokenOutput = regexp.MustCompile(`(?s)shown only here:\n(\S+)\n.*\n(ops-1 .*)\n`)

// makeToken makes the token ops-1 and its line in tokens.
func (o *operation) makeToken(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), o.binary, "token", "-name", "ops-1", "-role", "operate").Output()
	parts := tokenOutput.FindSubmatch(out)
	if err != nil || parts == nil {
		t.Fatalf("%v: %s", err, out)
	}
	o.token = string(parts[1])
	if err := os.WriteFile(filepath.Join(o.dir, "tokens"), append(parts[2], '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

// environment returns the environment of the operator's shell.
func (o *operation) environment() []string {
	return append(os.Environ(), "PATH="+filepath.Dir(o.binary)+":"+os.Getenv("PATH"), "ADMIN_URL="+o.URL, "ADMIN_TOKEN="+o.token)
}

// makeDeadLetters makes an analyzer reject two packets.
func (o *operation) makeDeadLetters(t *testing.T) {
	t.Helper()
	for _, a := range o.Analyzers {
		a.Behave(analyzertest.Behaviour{Rejected: map[string]string{"1": "invalid_packet", "2": "invalid_packet"}})
	}
	for id := 1; id <= 2; id++ {
		packet := fmt.Sprintf(`{"emitter_id":"web-1","packet_id":"%d","messages":[{"timestamp":1640995200000,"level":"INFO","message":"m"}]}`, id)
		response, err := http.Post("http://"+o.Distributor.Addr()+"/ingest?ack=delivered", "application/json", strings.NewReader(packet))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusUnprocessableEntity {
			t.Fatalf("packet %d: %d", id, response.StatusCode)
		}
	}
	for _, a := range o.Analyzers {
		a.Behave(analyzertest.Behaviour{})
	}
}
