package receiver

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"math"
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/server"
)

// Authenticate returns the sender of a request over HTTP, by its Authorization or its client
// certificate, or why it may not send. Without INGEST_TOKENS_FILE every sender may.
func (r *Receiver) Authenticate(request *server.Request) (Sender, *problem.Problem) {
	return r.AuthenticateToken(request, Token(request.Head.Authorization))
}

// AuthenticateToken is Authenticate with the token that the protocol carries, nil for none.
func (r *Receiver) AuthenticateToken(request *server.Request, token []byte) (Sender, *problem.Problem) {
	return r.authenticate(request.Client, request.Certificate, request.Session, token)
}

// AuthenticateClient is Authenticate for requests of other packages than server: by a token or, if the
// token is nil, by a certificate, which may be nil, too. See Client for connections without requests.
func (r *Receiver) AuthenticateClient(client netip.Addr, certificate *x509.Certificate, token []byte) (Sender, *problem.Problem) {
	return r.authenticate(client, certificate, nil, token)
}

func (r *Receiver) authenticate(client netip.Addr, certificate *x509.Certificate, session *credential.Session, token []byte) (Sender, *problem.Problem) {
	from := Sender{Client: client}
	if r.service.deps.Tokens == nil {
		return from, nil
	}
	if token == nil {
		from.Principal = r.service.deps.Tokens().Certificate(certificate)
	} else {
		from.Principal = session.Token(r.service.deps.Tokens(), token)
	}
	if from.Principal != nil {
		return from, nil
	}
	return from, r.Unauthorized(from)
}

// NeedsToken reports whether senders need a token or a client certificate.
func (r *Receiver) NeedsToken() bool { return r.service.deps.Tokens != nil }

// Principals returns the principals that may send packets, for protocols without HTTP. It must
// not be called unless NeedsToken.
func (r *Receiver) Principals() *credential.Set { return r.service.deps.Tokens() }

// Unauthorized counts and logs a failed attempt to authenticate, and returns the refusal.
func (r *Receiver) Unauthorized(from Sender) *problem.Problem {
	now := time.Now()
	r.service.deps.Intake.RecordUnauthorized(from.Client, now)
	if wait, ok := r.service.failures.Add(from.Client, now); !ok {
		return r.Refuse(problem.Problem{
			Code: problem.TooManyFailures, RetryAfter: int(math.Ceil(wait.Seconds())),
			Detail: "this address has sent too many requests without a valid token",
		})
	}
	return r.Refuse(problem.Problem{
		Code: problem.Unauthorized, Detail: "the request needs a token of INGEST_TOKENS_FILE, or a client certificate that it names",
	})
}

// Token returns the token of an Authorization field, or nil: the token of Bearer, ApiKey (also as
// base64 of id:key) or Splunk, or the password of Basic.
func Token(authorization []byte) []byte {
	scheme, token, found := bytes.Cut(authorization, []byte{' '})
	token = bytes.TrimSpace(token)
	if !found || len(token) == 0 {
		return nil
	}
	switch {
	case bytes.EqualFold(scheme, []byte("bearer")), bytes.EqualFold(scheme, []byte("splunk")):
		return token
	case bytes.EqualFold(scheme, []byte("basic")), bytes.EqualFold(scheme, []byte("apikey")):
		return secretOf(token)
	default:
		return nil
	}
}

// secretOf returns the part behind the colon of a text that is encoded in base64, or the text
// itself if it is not such a text.
func secretOf(encoded []byte) []byte {
	decoded, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil {
		return encoded
	}
	_, secret, found := bytes.Cut(decoded, []byte{':'})
	if !found {
		return encoded
	}
	return secret
}
