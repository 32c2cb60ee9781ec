package native

import (
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/internal/problem"
)

const zstdMagic = "\x28\xb5\x2f\xfd"

// Types of blocks of RFC 8878, 3.1.1.2.
const (
	rawBlock = iota
	rleBlock
	compressedBlock
	reservedBlock
)

// zstdBlock returns a block with its header; size is what the header says.
func zstdBlock(kind, size int, last bool, content string) string {
	header := uint32(size<<3 | kind<<1)
	if last {
		header |= 1
	}
	return string([]byte{byte(header), byte(header >> 8), byte(header >> 16)}) + content
}

func raw(text string, last bool) string { return zstdBlock(rawBlock, len(text), last, text) }

// windowed returns a frame whose header has only the window of that descriptor.
func windowed(descriptor byte, blocks string) string {
	return zstdMagic + "\x00" + string([]byte{descriptor}) + blocks
}

// sized returns a frame of one segment with a content size of four bytes.
func sized(size int, blocks string) string {
	return zstdMagic + "\xa0" + string(binary.LittleEndian.AppendUint32(nil, uint32(size))) + blocks
}

func skippable(number byte, size int, content string) string {
	return string([]byte{0x50 | number, 0x2a, 0x4d, 0x18}) +
		string(binary.LittleEndian.AppendUint32(nil, uint32(size))) + content
}

// Window descriptors: an exponent above 10 in five bits, a mantissa in three.
const (
	window1KiB   = 0
	window128KiB = 7 << 3
	window8MiB   = 13 << 3
	window9MiB   = 13<<3 | 1
	window16MiB  = 14 << 3
	window2GiB   = 21 << 3
)

func TestZstdCases(t *testing.T) {
	checkCodings(t, "zstd", slices.Concat(zstdFrameCases(t), zstdBlockCases(t), zstdHeaderCases()))
}

// zstdFrameCases are bodies of one frame, of several and of data that is no frame.
func zstdFrameCases(t *testing.T) []codingCase {
	t.Helper()
	body := aPacket("p", 300)
	half := len(body) / 2
	first, second := body[:half], body[half:]
	packed := compress(t, "zstd", body)
	wrongSum := damagedAt(packed, len(packed)-1)
	noSum := compress(t, "zstd", body, zstd.WithEncoderCRC(false))
	empty := windowed(window1KiB, raw("", true))
	skip := skippable(0, 5, "abcde")
	good, bad := wantStored(body), rejected(problem.Malformed)
	return []codingCase{
		{"encoded", packed, good},
		{"without a checksum", noSum, good},
		{"checksum wrong", wrongSum, bad},
		{"size", sized(len(body), raw(body, true)), good},
		{"size too large", sized(len(body)+1, raw(body, true)), bad},
		{"size too small", sized(len(body)-1, raw(body, true)), bad},
		{"size of nothing", sized(0, raw(body, true)), bad},
		{"two frames", windowed(window1KiB, raw(first, true)) + sized(len(second), raw(second, true)), good},
		{"two encoded frames", compress(t, "zstd", first) + compress(t, "zstd", second), good},
		{"empty frames around", empty + packed + empty, good},
		{"an empty frame with a size", sized(0, raw("", true)) + packed, good},
		{"only an empty frame", empty, bad},
		{"skippable before", skip + packed, good},
		{"skippable between", windowed(window1KiB, raw(first, true)) + skip + windowed(window1KiB, raw(second, true)), good},
		{"skippable after", packed + skip, good},
		{"skippable of every number", skippable(0, 0, "") + skippable(7, 1, "x") + packed + skippable(15, 2, "xy"), good},
		{"only skippable", skip, bad},
		{"skippable cut before", skippable(0, 1000, "") + packed, bad},
		{"skippable cut after", packed + skippable(0, 9, "abc"), bad},
		{"garbage behind", packed + "x", bad},
		{"NULs behind", packed + "\x00\x00\x00\x00", bad},
		{"half a frame behind", packed + packed[:len(packed)/2], bad},
		{"many empty frames", strings.Repeat(empty, 5000) + packed, good},
		{"many skippable frames", strings.Repeat(skippable(3, 0, ""), 5000) + packed, good},
		{"version 0.7", "\x27\xb5\x2f\xfd\x00\x00" + raw(body, true), bad},
		{"gzip", compress(t, "gzip", body), bad},
		{"not compressed", body, bad},
		{"no bytes", "", bad},
	}
}

// zstdBlockCases are frames with blocks of each type and of valid and invalid sizes.
func zstdBlockCases(t *testing.T) []codingCase {
	t.Helper()
	body := aPacket("p", 300)
	half := len(body) / 2
	first, second := body[:half], body[half:]
	large := aPacket("p", 200<<10)
	good, bad := wantStored(body), rejected(problem.Malformed)
	return []codingCase{
		{"raw", windowed(window1KiB, raw(body, true)), good},
		{"raw in two blocks", windowed(window1KiB, raw(first, false)+raw(second, true)), good},
		{"an empty block between", windowed(window1KiB, raw(first, false)+raw("", false)+raw(second, true)), good},
		{"run", windowed(window1KiB, raw(body, false)+zstdBlock(rleBlock, 5, true, " ")), wantStored(body + "     ")},
		{"no last block", windowed(window1KiB, raw(body, false)), bad},
		{"reserved block", windowed(window1KiB, zstdBlock(reservedBlock, len(body), true, body)), bad},
		{"block over the window", windowed(window1KiB, raw(aPacket("p", 1100), true)), bad},
		{"block over the content", sized(200, raw(body, true)), bad},
		{"block over 128 KiB", windowed(window8MiB, raw(aPacket("p", 128<<10+1), true)), bad},
		{"block of 128 KiB", windowed(window128KiB, raw(aPacket("p", 128<<10), true)), wantStored(aPacket("p", 128<<10))},
		{"run over the window", windowed(window1KiB, raw(body, false)+zstdBlock(rleBlock, 1<<20, true, " ")), bad},
		{"compressed of nothing", windowed(window1KiB, zstdBlock(compressedBlock, 0, true, "")), bad},
		{"compressed of rubbish", windowed(window1KiB, zstdBlock(compressedBlock, 9, true, "rubbish!!")), bad},
		{"large", compress(t, "zstd", large), wantStored(large)},
		{"bomb", compress(t, "zstd", strings.Repeat(" ", 8<<20)), rejected(problem.TooLarge)},
		{"bomb of runs", windowed(window8MiB, strings.Repeat(zstdBlock(rleBlock, 128<<10, false, " "), 100)), rejected(problem.TooLarge)},
	}
}

// zstdHeaderCases are frames with each window, with dictionaries and with unused and reserved bits.
func zstdHeaderCases() []codingCase {
	body := aPacket("p", 300)
	empty := windowed(window1KiB, raw("", true))
	skip := skippable(0, 5, "abcde")
	good, bad, wide := wantStored(body), rejected(problem.Malformed), rejected(problem.UnsupportedEncoding)
	return []codingCase{
		{"reserved bit", zstdMagic + "\x08\x00" + raw(body, true), bad},
		{"unused bit", zstdMagic + "\x10\x00" + raw(body, true), good},
		{"window of 1 KiB", windowed(window1KiB, raw(body, true)), good},
		{"window of 8 MiB", windowed(window8MiB, raw(body, true)), good},
		{"window of 9 MiB", windowed(window9MiB, raw(body, true)), wide},
		{"window of 16 MiB", windowed(window16MiB, raw(body, true)), wide},
		{"window of 2 GiB", windowed(window2GiB, raw(body, true)), wide},
		{"largest window", windowed(0xff, raw(body, true)), wide},
		{"wide second frame", empty + windowed(window16MiB, raw(body, true)), wide},
		{"wide frame behind a skippable", skip + windowed(window16MiB, raw(body, true)), wide},
		{"dictionary", zstdMagic + "\x01\x00\x07" + raw(body, true), bad},
		{"dictionary 0", zstdMagic + "\x01\x00\x00" + raw(body, true), good},
	}
}

// Bombs that are sent at once take no more memory than the limit of a body each, and the decoders
// can be used afterwards.
func TestConcurrentBombs(t *testing.T) {
	const clients = 16
	bombs := map[string]string{
		"gzip": compress(t, "gzip", strings.Repeat(" ", 32<<20)),
		"zstd": compress(t, "zstd", strings.Repeat(" ", 32<<20)),
	}
	for _, w := range serveBothWays(t, standard()) {
		var all sync.WaitGroup
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for encoding, bomb := range bombs {
			for range clients {
				c := w.dial()
				all.Go(func() {
					c.send(w.form(bomb, "Content-Encoding: "+encoding))
					if a := c.readResponse(); a.StatusCode != 413 {
						t.Errorf("%s: %d %s", w.name, a.StatusCode, a.text)
					}
				})
			}
		}
		all.Wait()
		runtime.ReadMemStats(&after)
		if grown := int64(after.Sys) - int64(before.Sys); grown > 512<<20 {
			t.Errorf("%s: %d bytes more of memory", w.name, grown)
		}
		body := aPacket("p", 0)
		w.check(t, "afterwards", compress(t, "zstd", body), wantStored(body), "Content-Encoding: zstd")
	}
}
