package credential

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Form is the syntax of the lines of a file. A line has a name and at least one
// credential; with several of them a token is replaced without an interruption. Empty lines
// and lines that begin with # are skipped.
type Form int

// The forms.
const (
	Emitters Form = iota
	Admins
)

// syntax returns the syntax of a line, for errors.
func (f Form) syntax() string {
	if f == Admins {
		return "NAME read|operate|register sha256:HEX|cert:NAME…"
	}
	return "NAME sha256:HEX|cert:NAME… [emitters=PATTERN,…] [rate=MESSAGES]"
}

const (
	// maxPrincipals bounds a file.
	maxPrincipals = 10_000
	// maxErrors bounds the lines that an error names, since any file may be given by mistake.
	maxErrors = 10
)

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	errName  = errors.New("the name must be 1 to 64 letters, digits, '.', '_' and '-'")
)

// parser reads the lines of a file.
type parser struct {
	form  Form
	set   *Set
	names map[string]bool
	seen  map[digest]bool
}

// Parse parses a file. Its errors name lines, and show no word that could be a token: not the
// first one either, since a line may by mistake be a token alone.
func Parse(text []byte, form Form) (*Set, error) {
	p := parser{form, &Set{certificates: make(map[string]*Principal)}, make(map[string]bool), make(map[digest]bool)}
	var errs []error
	number := 0
	for line := range bytes.Lines(text) {
		number++
		words := strings.Fields(string(line))
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if err := p.line(words); err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", number, err))
		}
		if len(errs) == maxErrors {
			errs = append(errs, errors.New("there may be more"))
			break
		}
	}
	switch {
	case len(errs) > 0:
	case len(p.names) == 0:
		errs = append(errs, fmt.Errorf("it must have at least one line such as %s", form.syntax()))
	case len(p.names) > maxPrincipals:
		errs = append(errs, fmt.Errorf("it must have at most %d lines, and has %d", maxPrincipals, len(p.names)))
	}
	return p.set, errors.Join(errs...)
}

// line adds the principal of a line.
func (p *parser) line(words []string) error {
	principal, rest := &Principal{Name: words[0]}, words[1:]
	switch {
	case !nameForm.MatchString(words[0]):
		return fmt.Errorf("%w; a line is %s", errName, p.form.syntax())
	case p.names[words[0]]:
		return errors.New("the name must be on one line only, which may have several credentials")
	}
	p.names[words[0]] = true
	if p.form == Admins {
		if len(rest) == 0 || !slices.Contains([]Role{Read, Operate, Register}, Role(rest[0])) {
			return fmt.Errorf("word 2: the role must be %s, %s or %s; a line is %s", Read, Operate, Register, p.form.syntax())
		}
		principal.Role, rest = Role(rest[0]), rest[1:]
	}
	credentials := len(p.set.digests) + len(p.set.certificates)
	for i, word := range rest {
		if err := p.word(principal, word); err != nil {
			return fmt.Errorf("word %d: %w", len(words)-len(rest)+i+1, err)
		}
	}
	if len(p.set.digests)+len(p.set.certificates) == credentials {
		return errors.New("it must have a sha256:HEX, such as 'logstreamer token' prints, or a cert:NAME")
	}
	return nil
}

// word parses one word of a line into the principal.
func (p *parser) word(principal *Principal, word string) error {
	key, value, assigned := strings.Cut(word, "=")
	kind, credential, _ := strings.Cut(word, ":")
	switch {
	case kind == "sha256":
		return p.token(principal, credential)
	case kind == "cert" && credential != "":
		if p.set.certificates[credential] != nil {
			return fmt.Errorf("cert:%s must be on one line only", credential)
		}
		p.set.certificates[credential] = principal
		return nil
	case p.form == Emitters && assigned && key == "rate":
		rate, err := strconv.ParseFloat(value, 64)
		if err != nil || !(rate > 0) || math.IsInf(rate, 0) {
			return fmt.Errorf("rate=%q must be a positive number of messages per second", value)
		}
		principal.Rate = rate
		return nil
	case p.form == Emitters && assigned && key == "emitters":
		for pattern := range strings.SplitSeq(value, ",") {
			if pattern == "" {
				return fmt.Errorf("emitters=%q must be patterns such as web-*, separated by commas", value)
			}
			principal.emitters = append(principal.emitters, strings.Split(pattern, "*"))
		}
		return nil
	}
	return fmt.Errorf("it must be one of those in %s", p.form.syntax())
}

func (p *parser) token(principal *Principal, text string) error {
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != len(digest{}) {
		return fmt.Errorf("behind sha256: there must be %d hexadecimal digits, such as 'logstreamer token' prints", 2*len(digest{}))
	}
	if p.seen[digest(sum)] {
		return errors.New("the token must be on one line only")
	}
	p.seen[digest(sum)] = true
	p.set.digests, p.set.owners = append(p.set.digests, digest(sum)), append(p.set.owners, principal)
	return nil
}
