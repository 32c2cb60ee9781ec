//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// The marks around a document's measured part.
const (
	measuredBegin = "<!-- measured: written by go run ./bench -->"
	measuredEnd   = "<!-- end of measured -->"
)

// writeDocument replaces the part between the marks of a Markdown file, or
// creates the file. A file without marks is not changed.
func writeDocument(path string, r Report) error {
	var measured bytes.Buffer
	fmt.Fprintf(&measured, "%s\n\n", measuredBegin)
	if err := writeMarkdown(&measured, r); err != nil {
		return err
	}
	fmt.Fprintf(&measured, "\n%s", measuredEnd)
	before, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return os.WriteFile(path, append(measured.Bytes(), '\n'), 0o644)
	}
	if err != nil {
		return err
	}
	after, err := replaceMeasured(before, measured.Bytes())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, after, 0o644)
}

func replaceMeasured(document, measured []byte) ([]byte, error) {
	start := bytes.Index(document, []byte(measuredBegin))
	end := bytes.Index(document, []byte(measuredEnd))
	if start < 0 || end < start {
		return nil, fmt.Errorf("it has no line %q followed by %q, so it is not changed", measuredBegin, measuredEnd)
	}
	return bytes.Join([][]byte{document[:start], measured, document[end+len(measuredEnd):]}, nil), nil
}
