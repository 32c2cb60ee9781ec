// Package http1 reads HTTP/1.1 requests by RFC 9112 and RFC 9110, strictly: what
// those leave to a recipient's leniency is refused, so that no two readers of one
// stream can disagree on where a request ends. It reads heads from memory (Parse)
// and whole requests from a connection (Reader); it does not depend on what they
// are for. CutField, ParseLength and ParseChunkSize serve readers of responses too. It
// writes responses (Response).
package http1

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
)

// Head is a request's head. Its slices are parts of the text that was parsed.
type Head struct {
	// Size is the length of the head in bytes, with the empty line that ends it
	// and empty lines before it.
	Size           int
	Method, Target []byte
	// Minor is the version's: 0 for HTTP/1.0, otherwise at least 1.
	Minor int
	// Length is the body's in bytes, or -1 when no length is given; a number that
	// does not fit is math.MaxInt64.
	Length int64
	// Chunked means that the body comes in chunks.
	Chunked bool
	// Close means that the connection ends with the response.
	Close bool
	// ExpectsContinue means that the client waits for an interim response before it
	// sends the body.
	ExpectsContinue bool
	// Encoded means that there is a Content-Encoding, see Values.
	Encoded bool
	// ContentType, Traceparent, Authorization and EmitterID are the fields' values, nil when
	// absent.
	ContentType, Traceparent, Authorization, EmitterID []byte

	fields []byte // the field lines
}

// Fault is why a request cannot be read. The connection cannot be used for
// another request.
type Fault struct {
	Status int
	Detail string
}

func (f *Fault) Error() string { return f.Detail }

// ErrIncomplete means that the text ends before the head does.
var ErrIncomplete = errors.New("the head is not complete")

var errRequestLine = malformed("the request line must be a method, a target and a version, one space apart")

var errLineEnd = malformed("a line of the head does not end in CR and LF, or has one of them within it")

func malformed(format string, args ...any) *Fault {
	return &Fault{Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}
}

// Parse reads the head at the beginning of text, of at most limit bytes. The error
// is ErrIncomplete or a *Fault, which is found as early as the text shows it.
// Parse allocates nothing for a head without a fault, and may be called
// concurrently.
func Parse(text []byte, limit int) (Head, error) {
	p := parser{text: text[:min(len(text), limit)], head: Head{Length: -1}}
	err := p.parse()
	if err == ErrIncomplete && len(text) >= limit {
		err = &Fault{Status: http.StatusRequestHeaderFieldsTooLarge, Detail: fmt.Sprintf("the request's head is larger than %d bytes", limit)}
	}
	return p.head, err
}

// parser reads one head.
type parser struct {
	text []byte
	at   int
	head Head
	seen seenFields

	keepAlive bool
}

func (p *parser) parse() error {
	p.at = len(p.text) - len(trimEmptyLines(p.text))
	line, err := p.line()
	if err != nil {
		return p.incompleteRequestLine(err)
	}
	if err := p.requestLine(line); err != nil {
		return err
	}
	begin := p.at
	for {
		end := p.at
		line, err := p.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			p.head.Size, p.head.fields = p.at, p.text[begin:end]
			return p.finish()
		}
		if err := p.field(line); err != nil {
			return err
		}
	}
}

// trimEmptyLines returns the text behind the empty lines that may come before a
// request (RFC 9112 section 2.2).
func trimEmptyLines(text []byte) []byte {
	for bytes.HasPrefix(text, []byte("\r\n")) {
		text = text[2:]
	}
	return text
}

// line returns the next line without its end.
func (p *parser) line() ([]byte, error) {
	rest := p.text[p.at:]
	end := bytes.IndexByte(rest, '\n')
	if end < 0 {
		if cr := bytes.IndexByte(rest, '\r'); cr >= 0 && cr < len(rest)-1 {
			return nil, errLineEnd
		}
		return nil, ErrIncomplete
	}
	if end == 0 || rest[end-1] != '\r' {
		return nil, errLineEnd
	}
	p.at += end + 1
	return rest[:end-1], nil
}

// incompleteRequestLine returns the fault of a request line without an end, which is the given one or
// that no more text can make it a request line, unlike what begins TLS or another protocol without
// lines. It sets the method, for a response to HEAD has no body.
func (p *parser) incompleteRequestLine(err error) error {
	method, _, ended := bytes.Cut(bytes.TrimSuffix(p.text[p.at:], []byte{'\r'}), []byte{' '})
	valid := all(method, tokenByte)
	if ended && valid {
		p.head.Method = method
	}
	if err == ErrIncomplete && (!valid || ended && len(method) == 0) {
		return errRequestLine
	}
	return err
}

func (p *parser) requestLine(line []byte) error {
	method, rest, found := bytes.Cut(line, []byte{' '})
	if !found || !all(method, tokenByte) || len(method) == 0 {
		return errRequestLine
	}
	p.head.Method = method
	target, version, found := bytes.Cut(rest, []byte{' '})
	if !found || !IsText(target) {
		return errRequestLine
	}
	if len(version) != len("HTTP/1.1") || string(version[:5]) != "HTTP/" || version[6] != '.' || !isDigit(version[5]) || !isDigit(version[7]) {
		return malformed("the version must be HTTP/1.1 or HTTP/1.0")
	}
	if version[5] != '1' {
		return &Fault{Status: http.StatusHTTPVersionNotSupported, Detail: fmt.Sprintf("%s is not spoken here: HTTP/1.1 and HTTP/1.0 are", version)}
	}
	if err := checkTarget(method, target); err != nil {
		return err
	}
	p.head.Target, p.head.Minor = target, int(version[7]-'0')
	return nil
}

// finish checks what depends on several fields.
func (p *parser) finish() error {
	h := &p.head
	switch {
	case p.seen&seenHost == 0 && h.Minor >= 1:
		return malformed("Host is missing")
	case h.Chunked && h.Length >= 0:
		return malformed("Content-Length and Transfer-Encoding must not come together")
	case h.Chunked && h.Minor == 0:
		return malformed("HTTP/1.0 has no Transfer-Encoding")
	}
	if h.Minor == 0 {
		h.Close = h.Close || !p.keepAlive
		h.ExpectsContinue = false
	}
	return nil
}

// seenFields are the fields that may come once.
type seenFields uint8

const (
	seenHost seenFields = 1 << iota
	seenLength
	seenCoding
)

// once reports whether a field had not come before.
func (p *parser) once(field seenFields) bool {
	before := p.seen&field != 0
	p.seen |= field
	return !before
}

// field reads one field line.
func (p *parser) field(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return malformed("a field is folded over lines, which RFC 9112 forbids")
	}
	name, value, err := CutField(line)
	if err != nil {
		return err
	}
	h := &p.head
	switch len(name) { // nearly all fields differ in length
	case len("Host"):
		if Is(name, "host") {
			return p.host(value)
		}
	case len("Expect"):
		if Is(name, "expect") {
			p.expect(value)
		}
	case len("Connection"): // and of Emitter-Id
		if Is(name, "connection") {
			p.connection(value)
		} else if Is(name, "emitter-id") {
			return p.emitterID(value)
		}
	case len("Traceparent"):
		if Is(name, "traceparent") && h.Traceparent == nil {
			h.Traceparent = value
		}
	case len("Content-Type"):
		if Is(name, "content-type") {
			return p.contentType(value)
		}
	case len("Authorization"):
		if Is(name, "authorization") {
			return p.authorization(value)
		}
	case len("Content-Length"):
		if Is(name, "content-length") {
			return p.length(value)
		}
	case len("Content-Encoding"):
		h.Encoded = h.Encoded || Is(name, "content-encoding")
	case len("Transfer-Encoding"):
		if Is(name, "transfer-encoding") {
			return p.coding(value)
		}
	}
	return nil
}

// CutField splits a field line, without its CRLF, and trims the value.
func CutField(line []byte) (name, value []byte, err error) {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 || !all(line[:colon], tokenByte) {
		return nil, nil, malformed("a field line must be a name of token characters, a colon and a value: %.40q", line)
	}
	value = line[colon+1:]
	if !IsText(value) {
		return nil, nil, malformed("the field %.40s has a control character", line[:colon])
	}
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == '\t') {
		value = value[:len(value)-1]
	}
	return line[:colon], value, nil
}

func (p *parser) host(value []byte) error {
	if !p.once(seenHost) {
		return malformed("Host comes more than once")
	}
	if !isHost(value) {
		return malformed("Host %.80q is not a host with an optional port", value)
	}
	return nil
}

func (p *parser) connection(value []byte) {
	for option, rest := nextElement(value); option != nil; option, rest = nextElement(rest) {
		p.head.Close = p.head.Close || Is(option, "close")
		p.keepAlive = p.keepAlive || Is(option, "keep-alive")
	}
}

// expect ignores other expectations (RFC 9110 section 10.1.1).
func (p *parser) expect(value []byte) {
	for expectation, rest := nextElement(value); expectation != nil; expectation, rest = nextElement(rest) {
		p.head.ExpectsContinue = p.head.ExpectsContinue || Is(expectation, "100-continue")
	}
}

func (p *parser) contentType(value []byte) error {
	if p.head.ContentType != nil && !bytes.Equal(p.head.ContentType, value) {
		return malformed("Content-Type comes more than once, with different values")
	}
	p.head.ContentType = value
	return nil
}

func (p *parser) authorization(value []byte) error {
	if p.head.Authorization != nil && !bytes.Equal(p.head.Authorization, value) {
		return malformed("Authorization comes more than once, with different values")
	}
	p.head.Authorization = value
	return nil
}

func (p *parser) emitterID(value []byte) error {
	if p.head.EmitterID != nil && !bytes.Equal(p.head.EmitterID, value) {
		return malformed("Emitter-Id comes more than once, with different values")
	}
	p.head.EmitterID = value
	return nil
}

func (p *parser) length(value []byte) error {
	if !p.once(seenLength) {
		return malformed("Content-Length comes more than once")
	}
	var err error
	p.head.Length, err = ParseLength(value)
	return err
}

// ParseLength parses a Content-Length; a number that does not fit is math.MaxInt64.
func ParseLength(value []byte) (length int64, err error) {
	if len(value) == 0 || !all(value, digitByte) {
		return 0, malformed("Content-Length %.40q is not a number of bytes", value)
	}
	for _, c := range value {
		if length > (math.MaxInt64-9)/10 {
			return math.MaxInt64, nil
		}
		length = 10*length + int64(c-'0')
	}
	return length, nil
}

// coding refuses all codings but chunked with 400. RFC 9112 section 6.1 suggests 501 for those that are
// before chunked, which some clients would take for a failure and send again.
func (p *parser) coding(value []byte) error {
	if !p.once(seenCoding) || !Is(value, "chunked") {
		return malformed("Transfer-Encoding must be chunked, once, and nothing else")
	}
	p.head.Chunked = true
	return nil
}

// Field returns the value of the first field of that name, given in lower case, or nil.
func (h *Head) Field(name string) []byte {
	for line := range bytes.Lines(h.fields) {
		field, value, err := CutField(bytes.TrimSuffix(line, []byte("\r\n")))
		if err == nil && Is(field, name) {
			return value
		}
	}
	return nil
}

// Values yields the elements of all fields of that name, given in lower case, as
// one list (RFC 9110 section 5.6.1), without the empty ones.
func (h *Head) Values(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(h.fields) {
			field, value, err := CutField(bytes.TrimSuffix(line, []byte("\r\n")))
			if err != nil || !Is(field, name) {
				continue
			}
			for element, rest := nextElement(value); element != nil; element, rest = nextElement(rest) {
				if !yield(element) {
					return
				}
			}
		}
	}
}

// nextElement returns the next element of a list that is not empty, nil when there
// is none, and the rest of the list.
func nextElement(list []byte) (element, rest []byte) {
	for len(list) > 0 {
		end := bytes.IndexByte(list, ',')
		if end < 0 {
			end = len(list)
		}
		element, list = bytes.Trim(list[:end], " \t"), list[min(end+1, len(list)):]
		if len(element) > 0 {
			return element, list
		}
	}
	return nil, nil
}

// Is compares a name or a value in any case with one in lower case.
func Is(text []byte, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c |= 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
