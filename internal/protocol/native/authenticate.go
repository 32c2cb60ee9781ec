package native

import (
	"crypto/x509"
	"math"
	"net/http"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/server"
)

// authenticator finds the principals of requests. It may be used concurrently.
type authenticator struct {
	tokens   func() *credential.Set
	failures *credential.Failures
}

// newAuthenticator returns nil if there are no tokens: every client may send packets.
func newAuthenticator(tokens func() *credential.Set) *authenticator {
	if tokens == nil {
		return nil
	}
	return &authenticator{tokens, credential.NewFailures()}
}

// principal returns the principal of a request, or nil. A token takes precedence over a client
// certificate.
func (a *authenticator) principal(session *credential.Session, authorization []byte, cert *x509.Certificate) *credential.Principal {
	if authorization == nil {
		return a.tokens().Certificate(cert)
	}
	token, ok := credential.Bearer(authorization)
	if !ok {
		return nil
	}
	return session.Token(a.tokens(), token)
}

// authenticate returns the principal of a request, or answers the request and reports false.
// Without authentication the principal is nil.
func (p *Protocol) authenticate(r *server.Request, to *http1.Response) (principal *credential.Principal, ok bool) {
	if p.auth == nil {
		return nil, true
	}
	if principal = p.auth.principal(r.Session, r.Head.Authorization, r.Certificate); principal != nil {
		return principal, true
	}
	p.intake.RecordUnauthorized(r.Client, r.Started)
	if wait, ok := p.auth.failures.Add(r.Client, r.Started); !ok {
		p.refuse(to, problem.Problem{
			Code: problem.TooManyFailures, RetryAfter: int(math.Ceil(wait.Seconds())),
			Detail: "this address has sent too many requests without a valid token",
		})
		return nil, false
	}
	p.refuse(to, problem.Problem{
		Code:   problem.Unauthorized,
		Detail: "the request needs Authorization: Bearer with a token of INGEST_TOKENS_FILE, or a client certificate that it names",
	})
	to.Authenticate = "Bearer"
	return nil, false
}

// notAllowed returns why a principal may not send a packet, or nil.
func (p *Protocol) notAllowed(principal *credential.Principal, info packet.Info, text []byte, now time.Time) *problem.Problem {
	if principal == nil {
		return nil
	}
	var buffer [128]byte
	if principal.AllowsEmitter(info.EmitterID.Decoded(buffer[:0], text)) {
		return nil
	}
	why := &problem.Problem{
		Code: problem.EmitterNotAllowed, Detail: "the token of " + principal.Name + " does not allow this emitter_id",
		PacketID: string(info.PacketID.AppendDecoded(nil, text)),
	}
	p.noteRefused(info, text, why, now)
	return why
}

// isClientError reports whether all lines of a request are refused for one reason that is the
// client's error; it is then the reason for the request.
func isClientError(code problem.Code) bool {
	return code.Status() == http.StatusBadRequest || code == problem.EmitterNotAllowed
}
