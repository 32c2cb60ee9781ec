package receiver

import (
	"bytes"
	"encoding/base64"
	"math"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/server"
)

// Authenticate returns the sender of a request over HTTP, by its Authorization or its client
// certificate, or why it may not send. Without INGEST_TOKENS_FILE everybody may.
func (r *Receiver) Authenticate(request *server.Request) (Sender, *problem.Problem) {
	return r.AuthenticateToken(request, Token(request.Head.Authorization))
}

// AuthenticateToken is Authenticate with the token that the protocol carries, nil for none.
func (r *Receiver) AuthenticateToken(request *server.Request, token []byte) (Sender, *problem.Problem) {
	from := Sender{Client: request.Client}
	if r.service.deps.Tokens == nil {
		return from, nil
	}
	if token == nil {
		from.Principal = r.service.deps.Tokens().Certificate(request.Certificate)
	} else {
		from.Principal = request.Session.Token(r.service.deps.Tokens(), token)
	}
	if from.Principal != nil {
		return from, nil
	}
	return from, r.Unauthorized(from, request.Started)
}

// NeedsToken reports whether senders need a token or a client certificate.
func (r *Receiver) NeedsToken() bool { return r.service.deps.Tokens != nil }

// Principals returns the principals that may send packets, for protocols without HTTP. It must
// not be called unless NeedsToken.
func (r *Receiver) Principals() *credential.Set { return r.service.deps.Tokens() }

// Unauthorized counts a failed attempt to authenticate, and returns the refusal.
func (r *Receiver) Unauthorized(from Sender, now time.Time) *problem.Problem {
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

// Token returns the token of an Authorization field, or nil: that of Bearer, ApiKey (also as
// base64 of id:key), Splunk, and the password of Basic.
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

// secretOf returns the part behind the colon of what is encoded in base64, or the text itself
// if it is nothing such.
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
