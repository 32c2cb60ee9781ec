package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// Access authenticates the clients of the admin API. It may be used concurrently.
type Access struct {
	watcher  *filewatch.Watcher
	rules    atomic.Pointer[rules]
	sessions *sessions
	failures *credential.Failures
	secure   *certificate.Listener // nil: without TLS
}

// rules are the settings that decide who has access. They are immutable.
type rules struct {
	token        [sha256.Size]byte // of ADMIN_TOKEN
	hasToken     bool
	path         string                           // ADMIN_TOKENS_FILE
	file         *filewatch.File[*credential.Set] // nil: there is none
	certificates bool                             // client certificates are requested
	hosts        []string
}

// NewAccess returns the access that the settings describe; secure is the TLS of the listener,
// or nil. It reads ADMIN_TOKENS_FILE, which the watcher reads anew when it changes.
func NewAccess(config control.AdminConfig, watcher *filewatch.Watcher, secure *certificate.Listener) (*Access, error) {
	a := &Access{watcher: watcher, sessions: newSessions(), failures: credential.NewFailures(), secure: secure}
	commit, _, err := a.Prepare(config)
	if err != nil {
		return nil, err
	}
	commit()
	return a, nil
}

// Prepare reads the files that changed settings name, and reads the files again if nothing changed.
// The caller must call either commit, which puts the settings in force, or abort, which discards
// them. There must be one call of Prepare at a time.
func (a *Access) Prepare(config control.AdminConfig) (commit, abort func(), err error) {
	old := a.rules.Load()
	next := &rules{
		token: sha256.Sum256([]byte(config.Token)), hasToken: config.Token != "", path: config.TokensFile,
		certificates: config.ClientCA != "", hosts: config.Hosts,
	}
	switch {
	case next.path == "":
	case old != nil && old.path == next.path:
		next.file = old.file
	default:
		source := filewatch.Source{Key: "ADMIN_TOKENS_FILE", Path: next.path}
		if next.file, err = credential.Load(a.watcher, "admin_tokens", source, credential.Admins); err != nil {
			return nil, nil, err
		}
	}
	secured, forget := func() {}, func() {}
	if a.secure != nil {
		if secured, forget, err = a.secure.Prepare(listenerConfig(config)); err != nil {
			next.closeUnless(old)
			return nil, nil, err
		}
	}
	commit = func() {
		secured()
		a.rules.Store(next)
		if old != nil && old.file != nil && old.file != next.file {
			old.file.Close()
		}
	}
	abort = func() {
		forget()
		next.closeUnless(old)
	}
	return commit, abort, nil
}

// closeUnless ends the watch of the tokens file unless the old rules have the same watch.
func (r *rules) closeUnless(old *rules) {
	if r.file != nil && (old == nil || r.file != old.file) {
		r.file.Close()
	}
}

// authorities returns the authorities of client certificates that are in force now.
func (a *Access) authorities() *x509.CertPool {
	if now := a.secure.ClientCAs(); now != nil {
		return now
	}
	return x509.NewCertPool() // an empty pool trusts no client, unlike a nil pool
}

// by is the way in which a caller was authenticated.
type by string

const (
	byNothing     by = "loopback" // no credential is configured
	byToken       by = "token"
	bySession     by = "session"
	byCertificate by = "certificate"
)

// caller is an authenticated sender of requests.
type caller struct {
	credential.Principal
	by      by
	expires time.Time // of a session
}

func (r *rules) hasTokens() bool { return r.hasToken || r.file != nil }

func (a *Access) hasTokens() bool { return a.rules.Load().hasTokens() }

// required reports whether a request needs a credential. If no credential is configured, local
// callers have all rights; other hosts cannot reach the listener.
func (a *Access) required() bool {
	r := a.rules.Load()
	return r.hasTokens() || r.certificates
}

// token returns the principal of a token, or nil. All tokens are compared, in constant time.
func (a *Access) token(presented []byte) *credential.Principal {
	r := a.rules.Load()
	digest := sha256.Sum256(presented)
	isToken := subtle.ConstantTimeCompare(digest[:], r.token[:]) == 1
	var listed *credential.Principal
	if r.file != nil {
		listed = r.file.Value().Token(presented)
	}
	if isToken && r.hasToken {
		return &credential.Principal{Name: "ADMIN_TOKEN", Role: credential.Operate}
	}
	return listed
}

// certificate returns the principal of the client certificate of a connection, or nil. Without a
// file that gives names their roles, every certificate of the authority is accepted. The handshake
// verified the certificate; the certificate may have expired since then, or the authorities may
// have changed.
func (a *Access) certificate(r *http.Request, now time.Time) *credential.Principal {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || a.secure == nil {
		return nil
	}
	cert, intermediates := r.TLS.PeerCertificates[0], x509.NewCertPool()
	for _, one := range r.TLS.PeerCertificates[1:] {
		intermediates.AddCert(one)
	}
	if _, err := cert.Verify(x509.VerifyOptions{
		Roots: a.authorities(), Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return nil
	}
	if file := a.rules.Load().file; file != nil {
		return file.Value().Certificate(cert)
	}
	return &credential.Principal{Name: cert.Subject.CommonName, Role: credential.Operate}
}

// authenticate returns the caller, or nil without a valid credential. wrong reports that the
// request has a wrong token. A request with a token is decided by the token; otherwise by a
// session, or by a certificate.
func (a *Access) authenticate(r *http.Request, now time.Time) (c *caller, wrong bool) {
	if fields := r.Header.Values("Authorization"); len(fields) > 0 && a.required() {
		if token, isBearer := credential.Bearer([]byte(fields[0])); isBearer && len(fields) == 1 {
			if principal := a.token(token); principal != nil {
				return &caller{Principal: *principal, by: byToken}, false
			}
		}
		return nil, true
	}
	for _, cookie := range r.CookiesNamed(cookieName(r.Host)) { // another path of the host may have set a cookie of that name, too
		if token, expires, ok := a.sessions.token(cookie.Value, now); ok {
			if principal := a.token(token); principal != nil {
				return &caller{Principal: *principal, by: bySession, expires: expires}, false
			}
			a.sessions.end(cookie.Value) // its token was withdrawn
		}
	}
	if principal := a.certificate(r, now); principal != nil {
		return &caller{Principal: *principal, by: byCertificate}, false
	}
	if !a.required() {
		return &caller{Principal: credential.Principal{Name: "local", Role: credential.Operate}, by: byNothing}, false
	}
	return nil, false
}

// failed counts a wrong credential of the client's address, and returns the refusal.
func (a *Access) failed(r *http.Request, detail string) *refusal {
	wait, ok := a.failures.Add(addressOf(r), time.Now())
	if ok {
		return refuse(unauthorized, "%s", detail)
	}
	refused := refuse(tooManyFailures, "this address presented too many wrong credentials; valid ones are accepted")
	refused.retryAfter = max(1, int(math.Ceil(wait.Seconds())))
	return refused
}

// addressOf returns the client's address. All clients of a Unix socket have the same one.
func addressOf(r *http.Request) netip.Addr { return clientAddress(r.RemoteAddr) }

func clientAddress(text string) netip.Addr {
	if client, err := netip.ParseAddrPort(text); err == nil {
		return client.Addr().Unmap().WithZone("")
	}
	return netip.IPv6Unspecified()
}

// clientName returns the client's address for logs.
func clientName(r *http.Request) string {
	if client := addressOf(r); client != netip.IPv6Unspecified() {
		return fmt.Sprint(client)
	}
	return "unix"
}
