package forward

import (
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"os"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// handshakeTimeout is how long a connection may take to authenticate.
const handshakeTimeout = 15 * time.Second

// maxPing bounds PING in bytes: a client that is not authenticated takes no more memory.
const maxPing = 8 << 10

// handshake is the beginning of a connection with authentication: HELO from the server, PING from
// the client, PONG from the server (Fluentd's Forward protocol specification v1).
type handshake struct {
	key   string // shared
	nonce string // text, since some clients read it as such
	user  bool   // PING must have a token as its user name
	timer *time.Timer
}

func newHandshake(key string, user bool) *handshake {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return &handshake{key: key, nonce: hex.EncodeToString(nonce[:]), user: user}
}

// helo returns HELO. With a salt for passwords, HELO asks for a user name.
func (h *handshake) helo() []byte {
	salt := ""
	if h.user {
		salt = h.nonce
	}
	message := appendStr([]byte{0x92}, "HELO")
	message = appendStr(appendStr(append(message, 0x83), "nonce"), h.nonce)
	message = appendStr(appendStr(message, "auth"), salt)
	return append(appendStr(message, "keepalive"), 0xc3)
}

// ping is what a client says about itself.
type ping struct{ host, salt, digest, user []byte }

// parsePing parses a complete value.
func parsePing(data []byte) (p ping, ok bool) {
	h, _ := parseHead(data, 0)
	if h.kind != kindArray || h.size < 5 || string(text(data, h.next)) != "PING" {
		return p, false
	}
	at := h.next
	for _, part := range []*[]byte{&p.host, &p.salt, &p.digest, &p.user} {
		at = skip(data, at)
		if *part = text(data, at); *part == nil {
			return p, false
		}
	}
	return p, true
}

// digest returns the proof of the shared key by a host, from the salt and the nonce.
func (h *handshake) digest(salt []byte, host string) []byte {
	sum := sha512.Sum512([]byte(string(salt) + host + h.nonce + h.key))
	return hex.AppendEncode(nil, sum[:])
}

// pong returns PONG; a reason says why the client is refused.
func (h *handshake) pong(p ping, reason string) []byte {
	message := appendStr([]byte{0x95}, "PONG")
	if reason != "" {
		message = appendStr(append(message, 0xc2), reason)
		return appendStr(appendStr(message, ""), "")
	}
	host := serverHost(string(p.host))
	message = appendStr(append(message, 0xc3), "")
	return appendStr(appendStr(message, host), string(h.digest(p.salt, host)))
}

// serverHost returns a name other than the client's: clients refuse their own name.
func serverHost(client string) string {
	host, _ := os.Hostname()
	if host = "logstreamer." + host; host == client {
		host += ".server"
	}
	return host
}

func appendStr(dst []byte, text string) []byte {
	switch n := len(text); {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n < 1<<8:
		dst = append(dst, 0xd9, byte(n))
	default:
		dst = append(dst, 0xda, byte(n>>8), byte(n))
	}
	return append(dst, text...)
}

// authenticate handles a PING.
func (s *session) authenticate(data []byte) error {
	h := s.handshake
	p, ok := parsePing(data)
	if !ok {
		return s.refuse(ping{}, "the connection must begin with PING")
	}
	if subtle.ConstantTimeCompare(h.digest(p.salt, string(p.host)), p.digest) != 1 {
		return s.refuse(p, "the shared key is wrong (FORWARD_SHARED_KEY)")
	}
	if h.user {
		identity := credential.OfToken(p.user)
		if identity.In(s.protocol.receiver.Principals()) == nil {
			return s.refuse(p, "the user name must be a token of INGEST_TOKENS_FILE")
		}
		s.client = s.protocol.receiver.Client(s.from.Client, identity)
	}
	h.timer.Stop()
	s.handshake = nil
	return s.write(h.pong(p, ""))
}

func (s *session) refuse(p ping, reason string) error {
	fault := s.protocol.receiver.Unauthorized(s.from)
	if fault.Code != problem.TooManyFailures {
		fault.Detail = reason
	}
	_ = s.write(s.handshake.pong(p, fault.Detail)) // the connection ends
	return fault
}
