package admin

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/credential"
)

const (
	// sessionCookie is the name of the cookie without a port; see cookieName.
	sessionCookie = "logstreamer_session"
	// maxSessions bounds the sessions; a new session over the bound ends the one that was used
	// least recently.
	maxSessions = 256
	// maxTokenSessions bounds the sessions of one token, so that a token cannot end the sessions of
	// other tokens.
	maxTokenSessions = maxSessions / 8
	// sessionLifetime is the maximum time from the login, and sessionIdle the maximum time from the
	// last request, before a session ends.
	sessionLifetime = 12 * time.Hour
	sessionIdle     = time.Hour
)

// session is a login. The token is looked up for each request, so that the session ends, or
// changes its role, with the token.
type session struct {
	token         []byte
	started, used time.Time
}

func (s session) expires() time.Time {
	if idle := s.used.Add(sessionIdle); idle.Before(s.started.Add(sessionLifetime)) {
		return idle
	}
	return s.started.Add(sessionLifetime)
}

// sessions are the logins of browsers, by the hash of their secrets. It may be used
// concurrently.
type sessions struct {
	mu   sync.Mutex // guards open
	open map[[sha256.Size]byte]session
}

func newSessions() *sessions {
	return &sessions{open: make(map[[sha256.Size]byte]session)}
}

// begin begins a session and returns its secret.
func (s *sessions) begin(token []byte, now time.Time) (secret string, expires time.Time) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	secret = base64.RawURLEncoding.EncodeToString(random[:])
	begun := session{token: token, started: now, used: now}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evictLocked(token, now)
	s.open[sha256.Sum256([]byte(secret))] = begun
	return secret, begun.expires()
}

// evictLocked removes expired sessions, and the least recently used one if there are too many:
// among those of the token if the token has too many, and otherwise among all.
func (s *sessions) evictLocked(token []byte, now time.Time) {
	var all, ofToken lru
	for key, one := range s.open {
		if !one.expires().After(now) {
			delete(s.open, key)
			continue
		}
		all.add(key, one.used)
		if bytes.Equal(one.token, token) {
			ofToken.add(key, one.used)
		}
	}
	switch {
	case ofToken.count >= maxTokenSessions:
		delete(s.open, ofToken.key)
	case all.count >= maxSessions:
		delete(s.open, all.key)
	}
}

// lru returns the least recently used session.
type lru struct {
	count int
	key   [sha256.Size]byte
	used  time.Time
}

func (l *lru) add(key [sha256.Size]byte, used time.Time) {
	if l.count++; l.count == 1 || used.Before(l.used) {
		l.key, l.used = key, used
	}
}

// token returns the token with which a session began, and when the session ends.
func (s *sessions) token(secret string, now time.Time) (token []byte, expires time.Time, ok bool) {
	key := sha256.Sum256([]byte(secret))
	s.mu.Lock()
	defer s.mu.Unlock()
	one, found := s.open[key]
	if !found || !one.expires().After(now) {
		delete(s.open, key)
		return nil, time.Time{}, false
	}
	one.used = now
	s.open[key] = one
	return one.token, one.expires(), true
}

// end ends a session, and reports whether there was one.
func (s *sessions) end(secret string) bool {
	key := sha256.Sum256([]byte(secret))
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found := s.open[key]
	delete(s.open, key)
	return found
}

// cookieName returns the name of the cookie of a session with the distributor at a Host field. It has
// the port, since browsers keep one cookie of a name for all ports of a host: two distributors, such
// as at the ends of two tunnels, would end each other's sessions.
func cookieName(host string) string {
	if _, text, err := net.SplitHostPort(host); err == nil {
		if port, err := strconv.ParseUint(text, 10, 16); err == nil {
			return fmt.Sprintf("%s_%d", sessionCookie, port)
		}
	}
	return sessionCookie
}

// newCookie returns the cookie of a session. EventSource cannot send an Authorization field,
// and no script can read the cookie.
func newCookie(name, secret string, secure bool, expires time.Time) *http.Cookie {
	cookie := &http.Cookie{
		Name: name, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure, Expires: expires,
	}
	if secret == "" {
		cookie.MaxAge = -1 // delete it
	}
	return cookie
}

func (c *caller) state() adminapi.Session {
	state := adminapi.Session{Name: c.Name, Role: string(c.Role), By: string(c.by)}
	if !c.expires.IsZero() {
		state.Expires = c.expires.UTC().Truncate(time.Second)
	}
	return state
}

func (a *api) getSession(r *request) (*response, error) {
	return &response{body: r.caller.state()}, nil
}

func (a *api) login(r *request) (*response, error) {
	var body struct {
		Token string `json:"token"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	token := []byte(body.Token)
	if len(token) == 0 {
		token, _ = credential.Bearer([]byte(r.Header.Get("Authorization")))
	}
	if len(token) == 0 {
		return nil, missing("token")
	}
	if !a.access.hasTokens() {
		return nil, refuse(conflict, "there are no tokens: set ADMIN_TOKEN or ADMIN_TOKENS_FILE to need one")
	}
	principal := a.access.token(token)
	if principal == nil {
		return nil, a.access.failed(r.Request, "the token is not valid")
	}
	now := time.Now()
	secret, expires := a.access.sessions.begin(token, now)
	r.caller = &caller{Principal: *principal, by: bySession, expires: expires}
	return &response{
		status: http.StatusCreated, body: r.caller.state(),
		cookie: newCookie(cookieName(r.Host), secret, r.TLS != nil, now.Add(sessionLifetime)),
	}, nil
}

// logout ends the sessions of the request. Without one it changes nothing and is not recorded: it
// needs no credential, and a flood of it would displace other records.
func (a *api) logout(r *request) (*response, error) {
	ended := false
	for _, cookie := range r.CookiesNamed(cookieName(r.Host)) {
		ended = a.access.sessions.end(cookie.Value) || ended
	}
	if !ended {
		r.record = nil
	}
	return &response{status: http.StatusNoContent, cookie: newCookie(cookieName(r.Host), "", r.TLS != nil, time.Unix(1, 0))}, nil
}
