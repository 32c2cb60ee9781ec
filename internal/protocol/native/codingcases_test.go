package native

import (
	"bytes"
	"compress/flate"
	stdgzip "compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/problem"
)

// codingCase is an encoded body and the expected result.
type codingCase struct {
	name, body string
	want       expectation
}

func checkCodings(t *testing.T, encoding string, cases []codingCase) {
	t.Helper()
	ways := serveBothWays(t, standard())
	small := aPacket("small", 0)
	for _, c := range cases {
		for _, w := range ways {
			w.check(t, c.name, c.body, c.want, "Content-Encoding: "+encoding)
			w.check(t, "a packet after "+c.name, small, wantStored(small))
		}
	}
}

// gzipMember returns a member of RFC 1952 with these flags and header fields.
func gzipMember(flags byte, fields string, deflated, plain []byte) string {
	var b bytes.Buffer
	b.Write([]byte{0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255})
	b.WriteString(fields)
	b.Write(deflated)
	_ = binary.Write(&b, binary.LittleEndian, crc32.ChecksumIEEE(plain))
	_ = binary.Write(&b, binary.LittleEndian, uint32(len(plain)))
	return b.String()
}

func deflate(t testing.TB, level int, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.Bytes()
}

func withHeaderCRC(member, fields string) string {
	sum := crc32.ChecksumIEEE([]byte(member[:10+len(fields)]))
	return member[:10+len(fields)] + string([]byte{byte(sum), byte(sum >> 8)}) + member[10+len(fields):]
}

func TestGzipCases(t *testing.T) {
	checkCodings(t, "gzip", append(gzipMemberCases(t), gzipBodyCases(t)...))
}

// gzipMemberCases are members with each header field and each type of block, and damaged ones.
func gzipMemberCases(t *testing.T) []codingCase {
	t.Helper()
	body := aPacket("p", 300)
	whole := deflate(t, flate.DefaultCompression, body)
	plain := gzipMember(0, "", whole, []byte(body))
	extra, long := "\x04\x00abcd", strings.Repeat("n", 64<<10)+"\x00"+strings.Repeat("c", 64<<10)+"\x00"
	wrongSum, wrongSize := damagedAt(plain, len(plain)-8), damagedAt(plain, len(plain)-4)
	good, bad := wantStored(body), rejected(problem.Malformed)
	return []codingCase{
		{"stored", gzipMember(0, "", deflate(t, flate.NoCompression, body), []byte(body)), good},
		{"huffman only", gzipMember(0, "", deflate(t, flate.HuffmanOnly, body), []byte(body)), good},
		{"best", gzipMember(0, "", deflate(t, flate.BestCompression, body), []byte(body)), good},
		{"name", gzipMember(8, "log.json\x00", whole, []byte(body)), good},
		{"comment", gzipMember(16, "a comment\x00", whole, []byte(body)), good},
		{"name of 4000 bytes", gzipMember(8, strings.Repeat("n", 4000)+"\x00", whole, []byte(body)), good},
		{"name and comment of 64 KiB, with a sum", withHeaderCRC(gzipMember(26, long, whole, []byte(body)), long), good},
		{"extra", gzipMember(4, extra, whole, []byte(body)), good},
		{"text flag", gzipMember(1, "", whole, []byte(body)), good},
		{"all fields", gzipMember(28, extra+"n\x00c\x00", whole, []byte(body)), good},
		{"header sum", withHeaderCRC(gzipMember(2, "", whole, []byte(body)), ""), good},
		{"header sum and name", withHeaderCRC(gzipMember(10, "n\x00", whole, []byte(body)), "n\x00"), good},
		{"header sum wrong", damagedAt(withHeaderCRC(gzipMember(2, "", whole, []byte(body)), ""), 10), bad},
		{"another member that is cut within its name", plain + gzipMember(8, "log", nil, nil)[:13], bad},
		{"name without end", plain[:3] + "\x08" + plain[4:10] + strings.Repeat("n", 600), bad},
		{"checksum wrong", wrongSum, bad},
		{"size wrong", wrongSize, bad},
		{"method wrong", damagedAt(plain, 2), bad},
		{"magic wrong", damagedAt(plain, 0), bad},
		{"reserved block", gzipMember(0, "", []byte{7}, nil), bad},
		{"stored length wrong", gzipMember(0, "", []byte{1, 1, 0, 0, 0, 'x'}, []byte("x")), bad},
		{"fixed and empty", gzipMember(0, "", []byte{3, 0}, nil), bad},
	}
}

// gzipBodyCases are bodies of one member, of several and of other data.
func gzipBodyCases(t *testing.T) []codingCase {
	t.Helper()
	body := aPacket("p", 300)
	half := len(body) / 2
	whole := deflate(t, flate.DefaultCompression, body)
	plain := gzipMember(0, "", whole, []byte(body))
	empty := compress(t, "gzip", "")
	var zlibbed bytes.Buffer
	zw := zlib.NewWriter(&zlibbed)
	_, _ = io.WriteString(zw, body)
	_ = zw.Close()
	good, bad := wantStored(body), rejected(problem.Malformed)
	return []codingCase{
		{"plain", plain, good},
		{"two members", compress(t, "gzip", body[:half]) + compress(t, "gzip", body[half:]), good},
		{"empty members around", empty + plain + empty, good},
		{"only an empty member", empty, bad},
		{"garbage behind", plain + "x", bad},
		{"NULs behind", plain + "\x00\x00\x00\x00", bad},
		{"half a member behind", plain + plain[:len(plain)/2], bad},
		{"zlib", zlibbed.String(), bad},
		{"raw deflate", string(whole), bad},
		{"zstd", compress(t, "zstd", body), bad},
		{"not compressed", body, bad},
		{"no bytes", "", bad},
		{"twice compressed", compress(t, "gzip", plain), bad},
		{"bomb", compress(t, "gzip", strings.Repeat(" ", 8<<20)), rejected(problem.TooLarge)},
		{"many empty members", strings.Repeat(empty, 5000) + plain, good},
	}
}

func damagedAt(text string, at int) string {
	b := []byte(text)
	b[at] ^= 1
	return string(b)
}

// A truncated body is not a packet, wherever it is cut.
func TestTruncatedEncodedBodies(t *testing.T) {
	body := aPacket("p", 0)
	for encoding, packed := range map[string]string{
		"gzip": compress(t, "gzip", body), "zstd": compress(t, "zstd", body),
		"x-gzip": compress(t, "gzip", body),
	} {
		var cases []codingCase
		for end := range len(packed) {
			cases = append(cases, codingCase{fmt.Sprintf("%s cut to %d", encoding, end), packed[:end], rejected(problem.Malformed)})
		}
		checkCodings(t, encoding, cases)
	}
}

// contentEncodingCase has the values of the header fields Content-Encoding, and the actual coding
// of the body.
type contentEncodingCase struct {
	headers []string
	coded   string
	want    expectation
}

func TestContentEncodings(t *testing.T) {
	body := aPacket("p", 100)
	packed := map[string]string{"": body, "gzip": compress(t, "gzip", body), "zstd": compress(t, "zstd", body)}
	good := wantStored(body)
	ways := serveBothWays(t, standard())
	for _, c := range contentEncodingCases(good) {
		var lines []string
		for _, value := range c.headers {
			lines = append(lines, "Content-Encoding: "+value)
		}
		for _, w := range ways {
			w.check(t, fmt.Sprintf("%q of %q", c.headers, c.coded), packed[c.coded], c.want, lines...)
			w.check(t, "a packet after it", body, good)
		}
	}
}

func contentEncodingCases(good expectation) []contentEncodingCase {
	bad, unknown := rejected(problem.Malformed), rejected(problem.UnsupportedEncoding)
	return []contentEncodingCase{
		{[]string{"identity"}, "", good},
		{[]string{"IDENTITY"}, "", good},
		{[]string{"identity, identity"}, "", good},
		{[]string{"identity", "identity"}, "", good},
		{[]string{""}, "", good},
		{[]string{" , ,"}, "", good},
		{[]string{"identity, gzip"}, "gzip", good},
		{[]string{"gzip, identity"}, "gzip", good},
		{[]string{"identity", "zstd"}, "zstd", good},
		{[]string{"GZip"}, "gzip", good},
		{[]string{"x-gzip"}, "gzip", good},
		{[]string{"X-GZIP"}, "gzip", good},
		{[]string{"ZSTD"}, "zstd", good},
		{[]string{",gzip"}, "gzip", good},
		{[]string{"gzip,"}, "gzip", good},
		{[]string{"gzip, gzip"}, "gzip", unknown},
		{[]string{"gzip", "gzip"}, "gzip", unknown},
		{[]string{"gzip", "zstd"}, "gzip", unknown},
		{[]string{"gzip;q=1"}, "gzip", unknown},
		{[]string{"gzip x"}, "gzip", unknown},
		{[]string{"\"gzip\""}, "gzip", unknown},
		{[]string{"deflate"}, "", unknown},
		{[]string{"br"}, "", unknown},
		{[]string{"compress"}, "", unknown},
		{[]string{"x-zstd"}, "zstd", unknown},
		{[]string{"*"}, "", unknown},
		{[]string{"aws-chunked"}, "", unknown},
		{[]string{"zstd"}, "gzip", bad},
		{[]string{"gzip"}, "zstd", bad},
		{[]string{"gzip"}, "", bad},
		{[]string{"zstd"}, "", bad},
		{[]string{"identity"}, "gzip", bad},
		{nil, "gzip", bad},
		{nil, "zstd", bad},
	}
}

// However an encoded body is changed on its way, the packet is the one that reference decoders
// read, or there is none.
func TestMutatedEncodedBodies(t *testing.T) {
	ways := serveBothWays(t, standard())
	body := aPacket("p", 400)
	packed := map[string]string{"gzip": compress(t, "gzip", body), "zstd": compress(t, "zstd", body)}
	rapid.Check(t, func(r *rapid.T) {
		encoding := rapid.SampledFrom([]string{"gzip", "zstd"}).Draw(r, "encoding")
		text := []byte(packed[encoding])
		for range rapid.IntRange(1, 3).Draw(r, "changes") {
			text = mutate(r, text)
		}
		for _, w := range ways {
			a, stored := w.send(t, w.form(string(text), "Content-Encoding: "+encoding))
			switch a.StatusCode {
			case 202:
				if plain := referenceDecode(encoding, text); len(stored) != 1 || stored[0] != plain {
					r.Fatalf("%s: stored %.200q, want %.200q", w.name, stored, plain)
				}
			case 400, 413, 415:
				if len(stored) > 0 {
					r.Fatalf("%s: %d, and stored %.200q", w.name, a.StatusCode, stored)
				}
			default:
				r.Fatalf("%s: %d %s", w.name, a.StatusCode, a.text)
			}
		}
	})
}

// mutate changes a bit, cuts the text or inserts a byte.
func mutate(r *rapid.T, text []byte) []byte {
	if len(text) == 0 {
		return text
	}
	at := rapid.IntRange(0, len(text)-1).Draw(r, "at")
	changed := bytes.Clone(text)
	switch rapid.IntRange(0, 2).Draw(r, "kind") {
	case 0:
		changed[at] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		return changed
	case 1:
		return changed[:at]
	default:
		return append(append(bytes.Clone(text[:at]), rapid.Byte().Draw(r, "byte")), text[at:]...)
	}
}

func referenceDecode(encoding string, text []byte) string {
	var plain []byte
	if encoding == "gzip" {
		if reader, err := stdgzip.NewReader(bytes.NewReader(text)); err == nil {
			plain, _ = io.ReadAll(reader)
		}
		return string(plain)
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		return ""
	}
	defer decoder.Close()
	plain, _ = decoder.DecodeAll(text, nil)
	return string(plain)
}
