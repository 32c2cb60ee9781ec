package packet

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// The result for each sequence of one to four representative bytes, at each offset around the end
// of a block, equals that of the standard library.
func TestValidUTF8(t *testing.T) {
	// The bounds of all ranges of RFC 3629.
	values := []byte{0, 'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff}
	text := []byte(strings.Repeat("x", 3*block))
	var try func(at, left int)
	for _, start := range []int{0, 5, block - 4, block - 3, block - 2, block - 1, block, 2*block - 2} {
		try = func(at, left int) {
			if left == 0 {
				for _, end := range []int{at, 2 * block, len(text)} {
					if got, want := validUTF8(text[:max(end, at)], hasVectors), utf8.Valid(text[:max(end, at)]); got != want {
						t.Fatalf("% x at %d of %d bytes: valid %v, want %v", text[start:at], start, max(end, at), got, want)
					}
				}
				return
			}
			for _, v := range values {
				text[at] = v
				try(at+1, left-1)
			}
			text[at] = 'x'
		}
		for n := 1; n <= 3; n++ {
			try(start, n)
		}
		for _, lead := range []byte{0xe0, 0xed, 0xf0, 0xf1, 0xf4, 0xf5, 0xc2, 0x80} {
			text[start] = lead
			try(start+1, 3)
			text[start] = 'x'
		}
	}
}

// The result for valid texts with one changed byte equals that of the standard library.
func TestValidUTF8OfChangedTexts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	runes := []rune("aé€😀я語\u0000\u07ff\uffff\U0010ffff")
	for range 20_000 {
		var b strings.Builder
		for b.Len() < random.IntN(200) {
			b.WriteRune(runes[random.IntN(len(runes))])
		}
		text := []byte(b.String())
		if len(text) > 0 && random.IntN(4) > 0 {
			text[random.IntN(len(text))] = byte(random.IntN(256))
		}
		if got, want := validUTF8(text, hasVectors), utf8.Valid(text); got != want {
			t.Fatalf("%q: valid %v, want %v", text, got, want)
		}
	}
}

func FuzzValidUTF8(f *testing.F) {
	f.Add([]byte(strings.Repeat("é", 40)))
	f.Add([]byte(strings.Repeat("x", 31) + "😀"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := validUTF8(text, hasVectors), utf8.Valid(text); got != want {
			t.Fatalf("%q: valid %v, want %v", text, got, want)
		}
	})
}

func BenchmarkValidUTF8(b *testing.B) {
	for name, part := range map[string]string{"ASCII": "request handled ", "Cyrillic": "привет мир ", "Chinese": "请求处理完成", "emoji": "🙂🚀🔥 ok "} {
		text := []byte(strings.Repeat(part, 5000))
		for _, vectors := range []bool{false, hasVectors} {
			b.Run(fmt.Sprintf("%s/vectors=%v", name, vectors), func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					if !validUTF8(text, vectors) {
						b.Fatal("the text is not valid")
					}
				}
			})
		}
	}
}
