package record

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// A Message writes members as a Message that has written no others.
func TestCachedNames(t *testing.T) {
	const both = `back\\slash` // a text, and the content of a string that means another one
	used := &Message{Copies: true}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.SampledFrom([]string{both, "", "a", "b", "trace_id", "service.name", "attributes.a", "quo\"te", "\xff", "ключ", "sd.x"}), rapid.StringN(0, 80, -1))
		fresh := &Message{Copies: true}
		for _, m := range []*Message{used, fresh} {
			m.Begin(1)
		}
		for _, key := range rapid.SliceOf(name).Draw(t, "names") {
			content := AppendEscaped(nil, []byte(key))
			if key == both {
				content = []byte(both)
			}
			isText := rapid.Bool().Draw(t, "text")
			for _, m := range []*Message{used, fresh} {
				if isText {
					m.AddTyped([]byte(key), []byte("1"), packet.TypeInt)
				} else {
					m.AddJSON(content, []byte("1"))
				}
			}
			fresh.names = nameCache{}
		}
		if !slices.Equal(used.metadata, fresh.metadata) || !slices.Equal(used.types, fresh.types) || used.invalid != fresh.invalid {
			t.Errorf("%t %s %s, want %t %s %s", used.invalid, used.metadata, used.types, fresh.invalid, fresh.metadata, fresh.types)
		}
	})
}
