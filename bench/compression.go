//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// encoding is a Content-Encoding, by klauspost/compress at its fastest level. Not for concurrent
// use.
type encoding struct {
	name string
	// store returns a member or frame with the text as it is, followed by its CRC-32 if summed.
	store  func(text []byte) []byte
	summed bool
	// compress appends the compressed body.
	compress func(dst, body []byte) []byte
	// decode decodes into the buffer, which is large enough.
	decode func(buffer, compressed []byte) ([]byte, error)
}

func newGzip() *encoding {
	writer, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for unknown levels only
	var reader gzip.Reader
	return &encoding{
		name: "gzip", store: storeGzip, summed: true,
		compress: func(dst, body []byte) []byte {
			compressed := bytes.NewBuffer(dst)
			writer.Reset(compressed)
			_, _ = writer.Write(body) // a bytes.Buffer never fails
			_ = writer.Close()
			return compressed.Bytes()
		},
		decode: func(buffer, compressed []byte) ([]byte, error) {
			if err := reader.Reset(bytes.NewReader(compressed)); err != nil {
				return nil, err
			}
			n, err := io.ReadFull(&reader, buffer)
			if errors.Is(err, io.ErrUnexpectedEOF) { // the buffer is larger
				err = nil
			}
			return buffer[:n], err
		},
	}
}

func newZstd() *encoding {
	// Both fail for invalid options only. With a concurrency of 1 neither starts goroutines.
	writer, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	reader, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	return &encoding{
		name: "zstd", store: storeZstd,
		compress: func(dst, body []byte) []byte { return writer.EncodeAll(body, dst) },
		decode:   func(buffer, compressed []byte) ([]byte, error) { return reader.DecodeAll(compressed, buffer[:0]) },
	}
}

// storeGzip returns a member with one stored block of up to 65,535 bytes (RFC 1952, RFC 1951 section
// 3.2.4).
func storeGzip(text []byte) []byte {
	length := uint16(len(text))
	member := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1}
	member = binary.LittleEndian.AppendUint16(member, length)
	member = binary.LittleEndian.AppendUint16(member, ^length)
	member = append(member, text...)
	member = binary.LittleEndian.AppendUint32(member, crc32.ChecksumIEEE(text))
	return binary.LittleEndian.AppendUint32(member, uint32(length))
}

// storeZstd returns a frame with one raw block of up to 255 bytes (RFC 8878 section 3.1.1).
func storeZstd(text []byte) []byte {
	const singleSegment, lastBlock = 1 << 5, 1
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, singleSegment, byte(len(text))}
	block := len(text)<<3 | lastBlock
	return append(append(frame, byte(block), byte(block>>8), byte(block>>16)), text...)
}

// compressed is the case of compressed bodies. What compression adds to a request is compared
// with what its decoder costs alone.
func compressed(large traffic) benchCase {
	e := defaultLoad(large, true, ours())
	c := benchCase{
		name: "compressed", title: "Requests of one packet of 500 messages with gzip and with zstd, against plain ones", measure: perRequest, base: oursName,
	}
	for _, coding := range []*encoding{newGzip(), newZstd()} {
		t := large
		t.Encoding = coding
		plain := ours()
		plain.Name, plain.traffic = oursName+", "+coding.name, &t
		alone := subject{Name: coding.name + ", decoder alone", cores: 1, traffic: &t, alone: decodeAlone}
		e.subjects = append(e.subjects, plain, alone)
		c.checks = append(c.checks, addedBy(perRequest, plain.Name, oursName, alone.Name, maxBound(1.3)))
	}
	t := large
	t.Encoding = newGzip()
	zipped := collector(t)
	zipped.Name += ", " + t.Encoding.name
	e.subjects = append(e.subjects, zipped)
	c.experiments = []experiment{e}
	c.checks = append(c.checks, statedRatio(perRequest, oursName+", "+t.Encoding.name, zipped.Name))
	return c
}

// decodeAlone decodes the bodies of requests of the load in a loop, on the core of the subjects.
func decodeAlone(c *runningSubject, cores []int, length time.Duration) (s Sample, err error) {
	const bodies = 64 // as many as the load has at once
	var all [][]byte
	for i := range bodies {
		r := newRequest(c.traffic, c.text)
		r.assignIDs(int64(i))
		_, body, _ := bytes.Cut(r.bytes, headEnd)
		all = append(all, body)
	}
	decode := c.traffic.Encoding.decode
	buffer := make([]byte, c.text.size()+bytes.MinRead)
	err = onCores(cores[:1], func() error {
		var before, after unix.Timespec
		failed := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &before)
		start := time.Now()
		for time.Since(start) < length {
			for _, body := range all {
				got, err := decode(buffer, body)
				if err != nil {
					return fmt.Errorf("decode %s: %w", c.traffic.Encoding.name, err)
				}
				if len(got) != c.text.size() {
					return fmt.Errorf("%s: %d bytes are decoded of %d", c.traffic.Encoding.name, len(got), c.text.size())
				}
			}
			s.Packets += bodies
		}
		s.Seconds = time.Since(start).Seconds()
		failed = errors.Join(failed, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &after))
		s.ProcessorSeconds = time.Duration(after.Nano() - before.Nano()).Seconds()
		return failed
	})
	s.RequestPackets, s.Messages = 1, s.Packets*int64(c.text.messages)
	return s, err
}
