//go:build linux

package main

import (
	"bytes"
	"encoding/binary"

	"github.com/klauspost/compress/zstd"
)

// nativeReader reads what vlagent sends to VictoriaLogs: rows, as its InsertRow marshals them,
// compressed with zstd.
type nativeReader struct {
	*recordTexts
	decoder *zstd.Decoder
	rows    []byte
}

// nativeRows returns how records arrive as rows, whose ids are noID.
func nativeRows(row func(n int) []byte) recordOutput {
	decoder, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1)) // fails for invalid options only
	r := &nativeReader{decoder: decoder, recordTexts: newRecordTexts(func(n int) (before, after string) {
		text := row(n)
		at := bytes.Index(text, noID)
		return string(text[:at]), string(text[at+idDigits:])
	})}
	return recordOutput{arrived: r.arrived, taken: taken}
}

// nativeRow returns a row of no tenant. The tags are those of the stream, by name; time is in
// nanoseconds.
func nativeRow(tags [][2]string, time int64, fields [][2]string) []byte {
	canonical := binary.AppendUvarint(nil, uint64(len(tags)))
	for _, tag := range tags {
		canonical = appendNative(appendNative(canonical, tag[0]), tag[1])
	}
	row := appendNative(make([]byte, 8), string(canonical))
	row = binary.BigEndian.AppendUint64(row, uint64(time))
	row = binary.AppendUvarint(row, uint64(len(fields)))
	for _, field := range fields {
		row = appendNative(appendNative(row, field[0]), field[1])
	}
	return row
}

func appendNative(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func (r *nativeReader) arrived(body []byte, l *ledger) {
	rows, err := r.decoder.DecodeAll(body, r.rows[:0])
	if err != nil {
		l.damaged++
		return
	}
	for r.rows = rows; len(rows) > 0; {
		size, at, ok := splitRow(rows)
		if !ok {
			l.damaged++
			return
		}
		r.take(rows[:size], at, l)
		rows = rows[size:]
	}
}

// splitRow returns the size of the first row, and the offset of its message.
func splitRow(rows []byte) (size, message int, ok bool) {
	s := nativeScanner{rest: rows}
	s.skip(8) // the tenant
	s.text()
	s.skip(8) // the time
	for range s.number() {
		name, length := s.text(), s.number()
		if len(name) == 0 { // that of _msg
			message = len(rows) - len(s.rest)
		}
		s.skip(length)
	}
	return len(rows) - len(s.rest), message, !s.malformed && message > 0
}

// nativeScanner reads parts of rows.
type nativeScanner struct {
	rest      []byte
	malformed bool
}

func (s *nativeScanner) skip(n uint64) (skipped []byte) {
	if s.malformed = s.malformed || uint64(len(s.rest)) < n; s.malformed {
		return nil
	}
	skipped, s.rest = s.rest[:n], s.rest[n:]
	return skipped
}

func (s *nativeScanner) number() uint64 {
	number, size := binary.Uvarint(s.rest)
	if s.malformed = s.malformed || size <= 0 || number > uint64(len(s.rest)); s.malformed {
		return 0
	}
	s.rest = s.rest[size:]
	return number
}

func (s *nativeScanner) text() []byte { return s.skip(s.number()) }
