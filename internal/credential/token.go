package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// Generate returns a new token of 256 bits, and its word in a file.
func Generate() (token, word string) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	token = base64.RawURLEncoding.EncodeToString(secret[:])
	sum := sha256.Sum256([]byte(token))
	return token, "sha256:" + hex.EncodeToString(sum[:])
}

// Line returns a line of a file, for a role or, without one, of emitters. It is one that
// Parse accepts.
func Line(name string, role Role, word string) (line string, err error) {
	if !nameForm.MatchString(name) {
		return "", errName
	}
	form := Emitters
	line = name + " " + word
	if role != "" {
		form, line = Admins, fmt.Sprintf("%s %s %s", name, role, word)
	}
	_, err = Parse([]byte(line), form)
	return line, err
}
