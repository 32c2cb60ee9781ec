// Package credential authenticates clients by a token or a client certificate that a file of the
// operator allows, and limits failed attempts. The file is read again when its content changes
// (package filewatch). It has hashes only: a token is shown once, by Generate.
package credential

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"strings"

	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// Role is what a principal may do with the admin API.
type Role string

// The roles. Operate includes the others.
const (
	Read    Role = "read"
	Operate Role = "operate"
	// Register may register analyzers, and end their registration, alone.
	Register Role = "register"
)

// Principal is an authenticated sender of requests. It is immutable.
type Principal struct {
	Name string
	// Role is empty in a file of emitters.
	Role Role
	// Rate bounds the messages per second of all its emitters together; 0 is no limit.
	Rate float64

	emitters [][]string // patterns, split at *; none allow all
}

// AllowsEmitter reports whether the principal may send packets with an emitter_id, which is
// without JSON escapes.
func (p *Principal) AllowsEmitter(id []byte) bool {
	for _, pattern := range p.emitters {
		if matches(pattern, string(id)) {
			return true
		}
	}
	return len(p.emitters) == 0
}

// matches reports whether a text matches a pattern, split at its *.
func matches(pattern []string, text string) bool {
	first, last := pattern[0], pattern[len(pattern)-1]
	if len(pattern) == 1 {
		return text == first
	}
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range pattern[1 : len(pattern)-1] {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}

// Set is the principals of a file. It is immutable.
type Set struct {
	digests      []digest // of tokens
	owners       []*Principal
	certificates map[string]*Principal
}

type digest [sha256.Size]byte

// Load reads a file and watches it. The use is a label of metrics.
func Load(w *filewatch.Watcher, use string, source filewatch.Source, form Form) (*filewatch.File[*Set], error) {
	return filewatch.Watch(w, use, []filewatch.Source{source}, func(contents [][]byte) (*Set, error) {
		set, err := Parse(contents[0], form)
		if err != nil {
			return nil, source.Errorf("%w", err)
		}
		return set, nil
	})
}

// Token returns the principal of a token, or nil. The time that it takes depends on the
// number of tokens alone.
func (s *Set) Token(token []byte) *Principal { return s.find(sha256.Sum256(token)) }

func (s *Set) find(presented digest) *Principal {
	found := -1
	for i := range s.digests {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(s.digests[i][:], presented[:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return s.owners[found]
}

// Certificate returns the principal of a verified client certificate, or nil. The first of
// its names that the file has decides: its common name, then DNS names, then URIs.
func (s *Set) Certificate(cert *x509.Certificate) *Principal {
	if cert == nil || len(s.certificates) == 0 {
		return nil
	}
	names := append([]string{cert.Subject.CommonName}, cert.DNSNames...)
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	for _, name := range names {
		if p := s.certificates[name]; p != nil {
			return p
		}
	}
	return nil
}

// Session remembers the token of a connection, so that further requests with it cost one
// hash. The zero value is ready. It must not be used concurrently.
type Session struct {
	set       *Set
	presented digest
	principal *Principal // nil: nothing is remembered
}

// Token is Set.Token. A nil Session remembers nothing.
func (s *Session) Token(set *Set, token []byte) *Principal {
	presented := digest(sha256.Sum256(token))
	if s == nil {
		return set.find(presented)
	}
	if s.principal != nil && s.set == set && subtle.ConstantTimeCompare(s.presented[:], presented[:]) == 1 {
		return s.principal
	}
	*s = Session{set, presented, set.find(presented)}
	return s.principal
}

// Bearer returns the token of an Authorization field, or reports that it has none.
func Bearer(authorization []byte) (token []byte, ok bool) {
	const scheme = "bearer "
	if len(authorization) <= len(scheme) || !strings.EqualFold(string(authorization[:len(scheme)]), scheme) {
		return nil, false
	}
	return authorization[len(scheme):], true
}
