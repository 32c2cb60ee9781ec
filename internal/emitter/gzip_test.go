package emitter

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// The readable part of damaged gzip is sent; the error then names the format
// and the cause.
func TestDamagedGzip(t *testing.T) {
	compressed := gzipped(t, []byte(strings.Repeat("a line\n", 1000)))
	for name, c := range map[string]struct {
		content []byte
		wrong   string
		lines   int64
	}{
		"cut":                {compressed[:len(compressed)-6], "unexpected EOF", 1000},
		"cut in its header":  {compressed[:5], "unexpected EOF", 0},
		"followed by others": {slices.Concat(compressed, []byte("twelve bytes")), "gzip: invalid header", 1000},
	} {
		t.Run(name, func(t *testing.T) {
			check := func(name string, lines int64, end error) {
				t.Helper()
				if want := "FILE: " + name + ": reading it as gzip: " + c.wrong; end == nil || end.Error() != want || lines != c.lines {
					t.Errorf("%d lines and %v, want %d and %s", lines, end, c.lines, want)
				}
			}
			config := fileConfig(writeFile(t, c.content), "5")
			if s, err := newSource(config, nil, "run", slog.New(slog.DiscardHandler)); err != nil {
				check(config.File, 0, err)
			} else {
				_, counts, end := drain(t, s)
				check(config.File, counts.read, end)
				if err := s.close(); err != nil {
					t.Error(err)
				}
			}
			_, counts, end := drain(t, openSource(t, fileConfig("-", "5"), bytes.NewReader(c.content)))
			check("standard input", counts.read, end)
		})
	}
}
