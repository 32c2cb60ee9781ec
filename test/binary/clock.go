package binary

import (
	"encoding/json"
	"go/build"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Clock is Go code that may change sec, the seconds of the wall clock, when the program has run for
// mono nanoseconds; the monotonic clock is unchanged.
type Clock string

// The clocks.
const (
	JumpForthAndBack  Clock = "if mono/300e6%2 == 1 {\nsec += 3600\n}\n"
	SetBackRepeatedly Clock = "sec -= mono/300e6*3600\n"
)

// Flags returns flags of go build that give a program the clock: a standard library with a patched
// time.Now.
func (c Clock) Flags(t testing.TB) []string {
	t.Helper()
	original := filepath.Join(build.Default.GOROOT, "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	const after = "mono -= startNano\n"
	now := strings.Index(string(text), "func Now() Time {")
	place := strings.Index(string(text[max(now, 0):]), after)
	if now < 0 || place < 0 {
		t.Skip("this version of Go has another time.Now")
	}
	at := now + place + len(after)
	patched := string(text[:at]) + string(c) + string(text[at:])
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{changed: []byte(patched), overlay: replaced} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"-overlay", overlay}
}
