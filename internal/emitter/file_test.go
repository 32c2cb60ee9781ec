package emitter

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// fileConfig sends a file in packets of packetSize messages.
func fileConfig(file, packetSize string) Config {
	config := DefaultConfig()
	config.File, config.PacketSize, config.EmitterID = file, packetSize, "e"
	return config
}

func openSource(t testing.TB, config Config, stdin io.Reader) source {
	t.Helper()
	s, err := newSource(config, stdin, "run", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// drain reads all packets of a source and sums their line counts.
func drain(t testing.TB, s source) (packets []sent, total lineCounts, end error) {
	t.Helper()
	for {
		var p outgoing
		err := s.next(t.Context(), &p)
		if len(p.body) > 0 {
			packets = append(packets, readBack(t, &p))
		}
		total.read += p.lines.read
		total.empty += p.lines.empty
		total.truncated += p.lines.truncated
		total.repaired += p.lines.repaired
		total.carried += p.lines.carried
		if err != nil {
			return packets, total, err
		}
	}
}

func texts(packets []sent) (all []string) {
	for _, p := range packets {
		for _, m := range p.Messages {
			all = append(all, m.Message)
		}
	}
	return all
}

func writeFile(t testing.TB, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var decompress bytes.Buffer
	w := gzip.NewWriter(&decompress)
	_, err := w.Write(content)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return decompress.Bytes()
}

// randomLine generates the text of a line without its line end.
func randomLine() *rapid.Generator[string] {
	short := rapid.SampledFrom([]string{"", " ", "\t", "plain", "2 words", "tab\tand \"quote\" \\", "é ü 漢", "bad \xff byte", "inner\rreturn", "nul\x00", "{}", "[1]"})
	return rapid.OneOf(short, short, short, short, short, short, short,
		rapid.Custom(func(t *rapid.T) string {
			// Lengths around the buffer size and the truncation limits.
			edge := rapid.SampledFrom([]int{readSize, 2 * readSize, maxLineBytes, maxLineBytes + readSize, 2 * maxLineBytes}).Draw(t, "edge")
			fill := rapid.SampledFrom([]string{"x", "é", "漢"}).Draw(t, "fill")
			return strings.Repeat(fill, (edge+rapid.IntRange(-3, 3).Draw(t, "off"))/len(fill))
		}),
	)
}

// countedLines returns the texts that an emitter sends for the lines, and the counts of the lines.
func countedLines(lines []string) (texts []string, counts lineCounts) {
	for _, l := range lines {
		counts.read++
		if len(l) > maxLineBytes {
			counts.truncated++
			l = l[:maxLineBytes]
			for !utf8.ValidString(l) {
				l = l[:len(l)-1]
			}
		}
		if !utf8.ValidString(l) {
			counts.repaired++
		}
		if strings.TrimSpace(l) == "" {
			counts.empty++
			continue
		}
		counts.carried++
		texts = append(texts, strings.ToValidUTF8(l, "\uFFFD"))
	}
	return texts, counts
}

// Each line of a file, of a gzip file or of a pipe is a message, in order, or is counted as
// empty.
func TestLinesAreConserved(t *testing.T) {
	line := randomLine()
	rapid.Check(t, func(rt *rapid.T) {
		lines := rapid.SliceOfN(line, 0, 12).Draw(rt, "lines")
		var content bytes.Buffer
		for i, l := range lines {
			content.WriteString(l)
			if i < len(lines)-1 || l == "" || rapid.Bool().Draw(rt, "final line end") {
				content.WriteString(rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(rt, "line end"))
			}
		}
		want, counts := countedLines(lines)
		check := func(name string, s source) {
			packets, got, end := drain(t, s)
			if !errors.Is(end, io.EOF) {
				rt.Fatalf("%s ended with %v", name, end)
			}
			if got != counts {
				rt.Fatalf("%s: counted %+v, want %+v", name, got, counts)
			}
			if !slices.Equal(texts(packets), want) {
				rt.Fatalf("%s: sent %.200q, want %.200q", name, texts(packets), want)
			}
		}
		file := writeFile(t, content.Bytes())
		check("file", openSource(t, fileConfig(file, "1-4"), nil))
		check("gzip file", openSource(t, fileConfig(writeFile(t, gzipped(t, content.Bytes())), "3"), nil))
		check("pipe", openSource(t, fileConfig("-", "3"), bytes.NewReader(content.Bytes())))
	})
}

func TestPacketsOfAFile(t *testing.T) {
	file := writeFile(t, []byte("a\nb\nc\nd\ne\n"))
	packets, _, _ := drain(t, openSource(t, fileConfig(file, "2"), nil))
	var shape []string
	for _, p := range packets {
		shape = append(shape, fmt.Sprintf("%s %d", p.PacketID, len(p.Messages)))
	}
	if want := []string{"run-1 2", "run-2 2", "run-3 1"}; !slices.Equal(shape, want) {
		t.Errorf("packets %q, want %q", shape, want)
	}
}

func TestLargeLinesMakeSmallerPackets(t *testing.T) {
	long := strings.Repeat("x", maxLineBytes) + "\n"
	packets, counts, _ := drain(t, openSource(t, fileConfig(writeFile(t, []byte(strings.Repeat(long, 10))), "100"), nil))
	if len(packets) < 2 || counts.carried != 10 || counts.truncated != 0 {
		t.Errorf("ten lines of %d bytes came in %d packets: %+v", maxLineBytes, len(packets), counts)
	}
}

func TestLongLinesAreTruncatedAtRuneBoundary(t *testing.T) {
	line := "x" + strings.Repeat("é", 4*maxLineBytes) + "\n" // truncated long before its end is read
	packets, counts, _ := drain(t, openSource(t, fileConfig(writeFile(t, []byte(line+line)), "1"), nil))
	want := lineCounts{read: 2, truncated: 2, carried: 2}
	if counts != want || texts(packets)[1] != line[:maxLineBytes-1] {
		t.Errorf("%+v, want %+v", counts, want)
	}
}

// The two bytes of a line end may come in two reads.
func TestLineOfMaxLengthIsNotTruncated(t *testing.T) {
	longest := strings.Repeat("x", maxLineBytes)
	before := strings.Repeat("x", readSize-2) // so that a read ends between the two
	file := writeFile(t, []byte(before+"\n"+longest+"\r\n"+longest+"x\r\n"))
	packets, counts, _ := drain(t, openSource(t, fileConfig(file, "1"), nil))
	if want := (lineCounts{read: 3, truncated: 1, carried: 3}); counts != want || texts(packets)[1] != longest {
		t.Errorf("%+v, want %+v", counts, want)
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var p outgoing
	if err := openSource(t, fileConfig(writeFile(t, []byte("a\n")), "5"), nil).next(ctx, &p); !errors.Is(err, context.Canceled) || p.lines.read > 0 {
		t.Errorf("next = %v after %d lines", err, p.lines.read)
	}
}

// Packets in a file are sent byte for byte, as lines or in dead letters, also between other lines.
func TestRawPacketsAreSentUnchanged(t *testing.T) {
	const one = `{ "emitter_id":"x", "packet_id":"p\u0031", "messages":[{"timestamp":1,"level":"L","message":"m","extra":[1, 2]},{"timestamp":2,"level":"L","message":"n"}] }`
	const empty = `{"packet_id":"","emitter_id":"","messages":[]}`
	deadLetter := `{"reason":"malformed","analyzer":"analyzer-1","time":"2026-01-02T03:04:05Z","packet":` + one + `}`
	large := `{"emitter_id":"x","packet_id":"large","messages":[{"timestamp":1,"level":"L","message":"` + strings.Repeat("y", 3*maxLineBytes) + `"}]}`
	content := strings.Join([]string{"before", one, deadLetter, "between", "", empty, large, `{"packet_id":"p","msg":"no packet"}`}, "\r\n")

	var bodies []string
	var counts lineCounts
	s := openSource(t, fileConfig(writeFile(t, []byte(content)), "5"), nil)
	for end := error(nil); end == nil; {
		var p outgoing
		end = s.next(t.Context(), &p)
		if len(p.body) > 0 {
			bodies = append(bodies, string(p.body))
		}
		counts.read += p.lines.read
		counts.carried += p.lines.carried
		counts.empty += p.lines.empty
	}
	if len(bodies) != 7 {
		t.Fatalf("%d packets", len(bodies))
	}
	for i, want := range map[int]string{1: one, 2: one, 4: empty, 5: large} {
		if bodies[i] != want {
			t.Errorf("packet %d is %.200q, want %.200q", i, bodies[i], want)
		}
	}
	for i, text := range map[int]string{0: `"before"`, 3: `"between"`, 6: `"no packet"`} {
		if !strings.Contains(bodies[i], text) {
			t.Errorf("packet %d is %.200q", i, bodies[i])
		}
	}
	if (counts != lineCounts{read: 8, empty: 1, carried: 7}) {
		t.Errorf("%+v", counts)
	}
}
