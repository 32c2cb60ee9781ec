package forward

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
)

func hash(parts ...string) string {
	text := ""
	for _, part := range parts {
		text += part
	}
	return fmt.Sprintf("%x", sha512.Sum512([]byte(text)))
}

// helo reads HELO and returns the nonce and the salt of passwords.
func (c *client) helo() (nonce, auth string) {
	c.Helper()
	value, _ := c.read().([]any)
	if len(value) != 2 || value[0] != "HELO" {
		c.Fatalf("%v", value)
	}
	options := make(map[any]any)
	for _, pair := range value[1].(pairs) {
		options[pair[0]] = pair[1]
	}
	if options["keepalive"] != true {
		c.Errorf("%v", options)
	}
	return options["nonce"].(string), options["auth"].(string)
}

func TestHandshake(t *testing.T) {
	const token = "0123456789abcdef"
	tokens := fmt.Sprintf("web sha256:%x emitters=app*\n", sha256.Sum256([]byte(token)))
	for name, c := range map[string]struct {
		key, tokens string
		clientKey   string
		user        string
		ok          bool
	}{
		"shared key":       {key: "secret", clientKey: "secret", ok: true},
		"wrong key":        {key: "secret", clientKey: "other"},
		"token":            {tokens: tokens, user: token, ok: true},
		"wrong token":      {tokens: tokens, user: "web"},
		"key and token":    {key: "secret", tokens: tokens, clientKey: "secret", user: token, ok: true},
		"key but no token": {key: "secret", tokens: tokens, clientKey: "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			f := (&protocoltest.System{Tokens: c.tokens}).Start(t, "forward")
			conn := dial(t, f, Config{SharedKey: c.key})
			nonce, auth := conn.helo()
			if (auth != "") != (c.tokens != "") {
				t.Errorf("the salt of passwords is %q", auth)
			}
			ping := []any{"PING", "client", "salt", hash("salt", "client", nonce, c.clientKey), c.user, hash(auth, c.user, "any")}
			frame := []any{"app", 1, log("text"), pairs{{"chunk", "c"}}}
			conn.send(pack(ping, frame))
			pong, _ := conn.read().([]any)
			if len(pong) != 5 || pong[0] != "PONG" || pong[1] != c.ok {
				t.Fatalf("%v", pong)
			}
			if !c.ok {
				conn.closed()
				f.AwaitCount(refusedRequests, string(problem.Unauthorized), 1)
				if len(f.Messages()) > 0 {
					t.Error("the event was accepted")
				}
				return
			}
			host := pong[3].(string)
			if host == "client" || pong[4] != hash("salt", host, nonce, c.key) {
				t.Errorf("%v", pong)
			}
			if got := conn.read(); !reflect.DeepEqual(got, ack("c")) {
				t.Errorf("%v", got)
			}
		})
	}
}

// Without PING no event is accepted, and a token limits the tags.
func TestUnauthorized(t *testing.T) {
	f := new(protocoltest.System).Start(t, "forward")
	c := dial(t, f, Config{SharedKey: "secret"})
	c.helo()
	c.send(pack([]any{"app", 1, log("text")}))
	if pong, _ := c.read().([]any); len(pong) != 5 || pong[1] != false {
		t.Errorf("%v", pong)
	}
	c.closed()
	if len(f.Messages()) > 0 {
		t.Error("the event was accepted")
	}
}

// A token that is removed from the file, or allows less, ends to be valid on open connections.
func TestReplacedToken(t *testing.T) {
	const token = "0123456789abcdef"
	line := func(rest string) string { return fmt.Sprintf("web sha256:%x %s\n", sha256.Sum256([]byte(token)), rest) }
	others := "other cert:other\n"
	f := (&protocoltest.System{Tokens: line("")}).Start(t, "forward")
	c := dial(t, f, Config{})
	nonce, auth := c.helo()
	c.send(pack([]any{"PING", "client", "salt", hash("salt", "client", nonce), token, hash(auth, token, "any")}))
	c.read()
	send := func(chunk string) { c.send(pack([]any{"app", 1, log(chunk), pairs{{"chunk", chunk}}})) }
	for chunk, tokens := range map[string]string{"1": line(""), "2": others + line("rate=1000")} {
		f.ReplaceTokens(tokens)
		send(chunk)
		if got := c.read(); !reflect.DeepEqual(got, ack(chunk)) {
			t.Fatalf("%v", got)
		}
	}
	f.ReplaceTokens(others)
	c.send(pack([]any{"app", 1, log("without a chunk")}))
	c.closed()
	f.AwaitCount(refusedRequests, string(problem.Unauthorized), 1)
	f.AwaitCount(rejectedRecords, string(problem.Unauthorized), 1)
	if got := len(f.Messages()); got != 2 {
		t.Errorf("%d events are accepted", got)
	}
}

// A client takes no memory for a large message before it is authenticated.
func TestLargePing(t *testing.T) {
	f := new(protocoltest.System).Start(t, "forward")
	c := dial(t, f, Config{SharedKey: "secret"})
	c.helo()
	ping := pack([]any{"PING", "client", strings.Repeat("s", maxPing), "digest", "", ""})
	c.send(ping[:100])
	if pong, _ := c.read().([]any); len(pong) != 5 || pong[1] != false {
		t.Errorf("%v", pong)
	}
	c.closed()
	f.AwaitCount(refusedRequests, string(problem.Unauthorized), 1)
}

func TestServerHost(t *testing.T) {
	if own := serverHost(""); serverHost(own) == own {
		t.Errorf("the host is the client's: %s", own)
	}
}
