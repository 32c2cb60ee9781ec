package journal

import (
	"bytes"
	"encoding/json"
	"io"
)

// Exporter writes packets as NDJSON. It must not be used concurrently.
type Exporter struct {
	W    io.Writer
	line bytes.Buffer
}

// Write writes a packet: compacted if it has line breaks, otherwise unchanged.
func (e *Exporter) Write(body []byte) error {
	e.line.Reset()
	if bytes.ContainsAny(body, "\r\n") {
		if err := json.Compact(&e.line, body); err != nil {
			return err
		}
	} else {
		e.line.Write(body)
	}
	e.line.WriteByte('\n')
	_, err := e.W.Write(e.line.Bytes())
	return err
}
