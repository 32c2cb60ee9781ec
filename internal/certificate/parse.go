package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"time"

	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// parsePair returns a certificate with its key. One that has expired is refused.
func parsePair(cert, key filewatch.Source, certText, keyText []byte) (tls.Certificate, error) {
	if block, _ := pem.Decode(certText); block == nil {
		return tls.Certificate{}, cert.Errorf("it must be a certificate in PEM")
	}
	if block, _ := pem.Decode(keyText); block == nil {
		return tls.Certificate{}, key.Errorf("it must be a private key in PEM, without a passphrase")
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return tls.Certificate{}, cert.Errorf("it must be a certificate in PEM, and %s its key: %w", key.Key, err)
	}
	now := time.Now()
	switch leaf := pair.Leaf; {
	case now.After(leaf.NotAfter):
		err = cert.Errorf("it must be valid now, and expired at %v", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		err = cert.Errorf("it must be valid now, and is not before %v", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return pair, err
}

// parsePool returns the CAs of a file, and when the last of them expires: a file has the old
// CA beside the new one while servers change from one to the other.
func parsePool(source filewatch.Source, text []byte) (pool *x509.CertPool, expiry time.Time, err error) {
	pool = x509.NewCertPool()
	for len(text) > 0 {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, expiry, source.Errorf("it must have certificates in PEM: %w", err)
		}
		pool.AddCert(ca)
		if ca.NotAfter.After(expiry) {
			expiry = ca.NotAfter
		}
	}
	switch {
	case expiry.IsZero():
		return nil, expiry, source.Errorf("it must have at least one certificate in PEM")
	case time.Now().After(expiry):
		return nil, expiry, source.Errorf("it must have a certificate that is valid now, and the last expired at %v", expiry.UTC().Format(time.RFC3339))
	}
	return pool, expiry, nil
}

// pairExpiry returns when the first certificate of a chain expires.
func pairExpiry(pair tls.Certificate) time.Time {
	first := pair.Leaf.NotAfter
	for _, der := range pair.Certificate[1:] {
		if one, err := x509.ParseCertificate(der); err == nil && one.NotAfter.Before(first) {
			first = one.NotAfter
		}
	}
	return first
}
