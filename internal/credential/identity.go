package credential

import (
	"crypto/sha256"
	"crypto/x509"
)

// Identity is what the client of a connection has presented once: a token or a client certificate.
// It must not be used concurrently.
type Identity struct {
	find      func(*Set) *Principal
	set       *Set // of the last look-up
	principal *Principal
}

// OfToken returns the identity of a client with a token, of which it has the hash alone.
func OfToken(token []byte) *Identity {
	presented := digest(sha256.Sum256(token))
	return &Identity{find: func(s *Set) *Principal { return s.find(presented) }}
}

// OfCertificate returns the identity of a client with a verified certificate, or with none if it is
// nil.
func OfCertificate(cert *x509.Certificate) *Identity {
	return &Identity{find: func(s *Set) *Principal { return s.Certificate(cert) }}
}

// In returns the principal of the client in a set, or nil. It is cheap for the set of the last call.
func (i *Identity) In(set *Set) *Principal {
	if i.set != set {
		i.set, i.principal = set, i.find(set)
	}
	return i.principal
}
