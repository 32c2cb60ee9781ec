package loki

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

var errLabels = errors.New(`the labels of a stream must look like {name="value", other="value"}`)

// parseLabels yields the names and values of labels as Prometheus writes them. Unlike Loki
// it accepts any text as a name. The slices are valid until the next label.
func parseLabels(text string, yield func(name, value []byte)) error {
	text = strings.TrimSpace(text)
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return errLabels
	}
	text = strings.TrimSpace(text[1 : len(text)-1])
	var scratch []byte
	for text != "" {
		name, rest, found := strings.Cut(text, "=")
		if !found {
			return errLabels
		}
		name = strings.TrimSpace(name)
		value, rest, err := quoted(strings.TrimSpace(rest), scratch[:0])
		if err != nil || name == "" {
			return errLabels
		}
		yield([]byte(unquotedName(name)), value)
		scratch = value
		if rest = strings.TrimSpace(rest); rest == "" {
			return nil
		}
		if rest[0] != ',' {
			return errLabels
		}
		text = strings.TrimSpace(rest[1:])
	}
	return nil
}

// unquotedName returns a name, which newer versions of Prometheus may quote.
func unquotedName(name string) string {
	if plain, err := strconv.Unquote(name); err == nil {
		return plain
	}
	return name
}

// quoted appends the value of the string in quotes or backticks that text begins with.
func quoted(text string, dst []byte) (value []byte, rest string, err error) {
	if text == "" || text[0] != '"' && text[0] != '`' && text[0] != '\'' {
		return nil, "", errLabels
	}
	quote := text[0]
	if quote == '`' {
		end := strings.IndexByte(text[1:], quote)
		if end < 0 {
			return nil, "", errLabels
		}
		return append(dst, text[1:1+end]...), text[end+2:], nil
	}
	text = text[1:]
	for {
		at := strings.IndexAny(text, `\`+string(quote))
		if at < 0 {
			return nil, "", errLabels
		}
		dst = append(dst, text[:at]...)
		if text[at] == quote {
			return dst, text[at+1:], nil
		}
		r, multibyte, tail, err := strconv.UnquoteChar(text[at:], quote)
		if err != nil {
			return nil, "", err
		}
		if text = tail; r < utf8.RuneSelf || !multibyte {
			dst = append(dst, byte(r))
		} else {
			dst = utf8.AppendRune(dst, r)
		}
	}
}
