package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/config"
)

// BenchmarkOverrides sets the weight of each of 300 analyzers, as every change of the
// configuration does when all of them have an override.
func BenchmarkOverrides(b *testing.B) {
	const analyzers = 300
	var file strings.Builder
	file.WriteString("analyzers:\n")
	for i := range analyzers {
		fmt.Fprintf(&file, "- {id: a%d, url: 'http://a%d:1', weight: 0.5}\n", i, i)
	}
	loader := config.New(DefaultConfig(), func(string) (string, bool) { return "", false })
	loader.File = filepath.Join(b.TempDir(), "c.yaml")
	if err := os.WriteFile(loader.File, []byte(file.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	read, err := loader.Load()
	if err != nil {
		b.Fatal(err)
	}
	l := loaded{read, loader.Settings}
	for b.Loop() {
		for i := range analyzers {
			path := fmt.Sprintf("analyzers/a%d/weight", i)
			if base := l.get(path); string(base) == "null" {
				b.Fatal(path)
			}
			if err := l.set(path, []byte("0.25")); err != nil {
				b.Fatal(err)
			}
		}
	}
}
