package httpsink

import (
	"encoding/base64"
	"errors"
	"strings"
)

// Authorization returns the Authorization field for the content of a token file: one line
// with a scheme and its credentials as they are sent ("ApiKey abc"), or "user:password" for
// Basic, or a token alone for the scheme that the kind of backend uses. The error never has
// a part of the content.
func Authorization(content []byte, scheme string) (string, error) {
	line := strings.TrimSpace(string(content))
	for _, c := range []byte(line) {
		if c < ' ' || c > '~' {
			return "", errors.New("it must be one line of printable ASCII characters")
		}
	}
	first, rest, several := strings.Cut(line, " ")
	switch {
	case line == "":
		return "", errors.New("it is empty: it must be a token, user:password, or a scheme and its credentials")
	case strings.Contains(first, ":"):
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(line)), nil
	case several && strings.TrimSpace(rest) != "":
		return line, nil
	default:
		return scheme + " " + line, nil
	}
}
