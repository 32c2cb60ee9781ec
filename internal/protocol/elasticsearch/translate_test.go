package elasticsearch

import (
	"crypto/sha256"
	"strings"
	"testing"
)

// A translator that is kept for other requests has no memory of a large document of a Beat.
func TestTrim(t *testing.T) {
	one := newTranslator()
	one.content = sha256.New()
	one.message.Begin(1)
	one.message.Add([]byte("key"), []byte(strings.Repeat("x", 4<<20)))
	one.noteContent(1)
	if one.trim(); cap(one.text) > keptText {
		t.Errorf("%d bytes are kept", cap(one.text))
	}
}
