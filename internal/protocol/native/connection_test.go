package native

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/problem"
)

// wantReusable checks that a packet that is sent on the connection is accepted.
func (c *client) wantReusable() {
	c.Helper()
	c.send(post(aPacket("again", 0)))
	c.readResponse().wantAccepted(c, "again")
}

// wantClosed checks that the server announces the end of the connection, and closes it.
func (c *client) wantClosed(a response) {
	c.Helper()
	if !a.Close {
		c.Error("the response does not say that the connection ends")
	}
	if n, err := io.Copy(io.Discard, c.reader); n > 0 || err != nil {
		c.Errorf("%d bytes after the response, %v", n, err)
	}
}

func TestConnectionIsReusedAfterRefusal(t *testing.T) {
	f := serve(t, standard())
	small, large := aPacket("p", 1000), aPacket("p", 300_000)
	for name, request := range map[string]string{
		"invalid":                post("{}"),
		"invalid and large":      post(strings.Replace(large, "INFO", "", 1)),
		"invalid chunks":         chunked(large+"x", 1000),
		"unread small":           post(small, "Content-Encoding: br"),
		"unknown path":           strings.Replace(post(small), "/ingest", "/nowhere", 1),
		"other path":             strings.Replace(post(small), "/ingest", "/other", 1),
		"GET with a body":        strings.Replace(post(small), "POST /ingest", "GET /other", 1),
		"GET without":            "GET /ingest HTTP/1.1\r\nHost: t\r\n\r\n",
		"HEAD":                   "HEAD /other HTTP/1.1\r\nHost: t\r\n\r\n",
		"no length":              "POST /nowhere HTTP/1.1\r\nHost: t\r\n\r\n",
		"encoding":               post(small, "Content-Encoding: br"),
		"truncated gzip":         post(compress(t, "gzip", small)[:20], "Content-Encoding: gzip"),
		"no gzip":                post(small, "Content-Encoding: gzip"),
		"large decompressed":     post(compress(t, "gzip", aPacket("p", 2<<20)), "Content-Encoding: gzip"),
		"accepted, then trailer": strings.Replace(chunked(small, 100), "\r\n0\r\n\r\n", "\r\n0\r\nX-A: b\r\n\r\n", 1),
	} {
		t.Run(name, func(t *testing.T) {
			c := f.dial()
			c.send(request)
			if strings.HasPrefix(request, "HEAD") {
				response, err := http.ReadResponse(c.reader, &http.Request{Method: http.MethodHead})
				if err != nil || response.Close {
					t.Fatal(err)
				}
			} else if a := c.readResponse(); a.Close {
				t.Errorf("the connection is given up after %d %s", a.StatusCode, a.text)
			}
			c.wantReusable()
		})
	}
}

// A large body that is not read must not be parsed as requests, and its sender must get the
// response.
func TestLargeUnreadBodyIsAnswered(t *testing.T) {
	o := standard()
	o.server.Timeouts.Linger = time.Hour
	f := serve(t, o)
	trap := strings.Repeat(post(aPacket("smuggled", 0)), 20_000)
	for name, request := range map[string]string{
		"too large": post(trap),
		"coding":    post(trap[:1<<20], "Content-Encoding: br"),
		"closing":   post(trap[:1<<20], "Content-Encoding: br", "Connection: close"),
		"path":      strings.Replace(post(trap[:1<<20]), "/ingest", "/nowhere", 1),
		"other":     strings.Replace(post(trap[:1<<20]), "/ingest", "/other", 1),
		"chunked":   chunked(trap, 100_000, "Content-Encoding: br"),
		"growing":   chunked(trap, 100_000),
		"header":    post("", "X-Large: "+trap[:1<<20]),
	} {
		t.Run(name, func(t *testing.T) {
			c := f.dial()
			sent := make(chan error, 1)
			go func() {
				_, err := io.WriteString(c.conn, request)
				sent <- err
			}()
			a := c.readResponse()
			c.wantClosed(a)
			if err := <-sent; err != nil {
				t.Errorf("sending: %v", err)
			}
			if name != "other" && a.StatusCode < 400 {
				t.Errorf("status %d", a.StatusCode)
			}
		})
	}
	if len(f.journal.records()) > 0 {
		t.Error("a part of a body was taken for a request")
	}
}

// The client announces a body and then sends nothing of it.
func TestAnnouncedSizeIsRefusedAtOnce(t *testing.T) {
	f := serve(t, standard())
	for _, size := range []string{"1048577", "10000000000", "9223372036854775807"} {
		for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
			c := f.dial()
			c.send("POST /ingest HTTP/1.1\r\nHost: t\r\n" + expect + "Content-Length: " + size + "\r\n\r\n")
			a := c.readResponse()
			r := a.wantRefusal(t, 413, problem.TooLarge)
			if !strings.Contains(r.Detail, "1048576") {
				t.Errorf("detail %q does not name the limit", r.Detail)
			}
			c.wantClosed(a)
		}
	}
	f.wantCounted(map[problem.Code]int{problem.TooLarge: 6})
}

func TestLengthBeyondNumbersIsRefused(t *testing.T) {
	f := serve(t, standard())
	c := f.dial()
	c.send("POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551619\r\n\r\nabc")
	if a := c.readResponse(); a.StatusCode != 400 && a.StatusCode != 413 {
		t.Errorf("status %d", a.StatusCode)
	}
}

func TestExpectContinue(t *testing.T) {
	f := serve(t, standard())
	for _, expect := range []string{"Expect: 100-continue", "expect: 100-Continue"} {
		c := f.dial()
		head, body, _ := strings.Cut(post(aPacket("p", 0), expect), "\r\n\r\n")
		c.send(head + "\r\n\r\n")
		if a := c.readResponse(); a.StatusCode != http.StatusContinue {
			t.Fatalf("status %d", a.StatusCode)
		}
		c.send(body)
		c.readResponse().wantAccepted(t, "p")
		c.wantReusable()
	}
}

func TestClientEndsConnection(t *testing.T) {
	f := serve(t, standard())
	for _, options := range []string{
		"close", "Close", "CLOSE", " close\t", "TE, close", "keep-alive,Close", "close, keep-alive",
		"close\r\nConnection: keep-alive", "keep-alive\r\nConnection: close",
	} {
		t.Run(options, func(t *testing.T) {
			c := f.dial()
			c.send(post(aPacket("p", 0), "Connection: "+options))
			a := c.readResponse()
			a.wantAccepted(t, "p")
			c.wantClosed(a)
		})
	}
	for _, other := range []string{"Connection: keep-alive", "Connection: TE, closed", "Connection:", "X-Connection: close"} {
		c := f.dial()
		c.send(post(aPacket("p", 0), other))
		c.readResponse().wantAccepted(t, "p")
		c.wantReusable()
	}
}

// A request with two different lengths is refused as a whole: neither the request nor the bytes
// after it are a packet.
func TestTwoLengthsAreRefused(t *testing.T) {
	f := serve(t, standard())
	body := aPacket("p", 0)
	for name, headers := range map[string][2]string{
		"length first":   {fmt.Sprintf("Content-Length: %d", len(body)), "Transfer-Encoding: chunked"},
		"encoding first": {"transfer-encoding: Chunked", fmt.Sprintf("content-length: %d", len(body))},
		"no encoding":    {"Transfer-Encoding: identity", fmt.Sprintf("Content-Length: %d", len(body))},
	} {
		for what, rest := range map[string]string{
			"length":       body + post(aPacket("smuggled", 0)),
			"chunks":       fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body) + post(aPacket("smuggled", 0)),
			"nothing more": "",
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				c := f.dial()
				c.send("POST /ingest HTTP/1.1\r\nHost: t\r\n" + headers[0] + "\r\n" + headers[1] + "\r\n\r\n" + rest)
				a := c.readResponse()
				a.wantRefusal(t, 400, problem.Malformed)
				c.wantClosed(a)
			})
		}
	}
	if got := f.journal.records(); len(got) > 0 {
		t.Errorf("%d packets were taken", len(got))
	}
	f.wantCounted(map[problem.Code]int{problem.Malformed: 9})
}

func TestPipelining(t *testing.T) {
	f := serve(t, standard())
	c := f.dial()
	c.send(post(aPacket("1", 0)), post("{}"), chunked(aPacket("2", 5000), 100), post(aPacket("3", 100_000)),
		post("x", "Content-Encoding: br"), post(aPacket("4", 0)))
	c.readResponse().wantAccepted(t, "1")
	c.readResponse().wantRefusal(t, 400, problem.InvalidPacket)
	c.readResponse().wantAccepted(t, "2")
	c.readResponse().wantAccepted(t, "3")
	c.readResponse().wantRefusal(t, 415, problem.UnsupportedEncoding)
	c.readResponse().wantAccepted(t, "4")
}

// A response does not wait for the rest of the next request.
func TestPipelinedResponseIsNotWithheld(t *testing.T) {
	f := serve(t, standard())
	c := f.dial()
	two := post(aPacket("2", 2000))
	c.send(post(aPacket("1", 200)) + two[:1000])
	c.readResponse().wantAccepted(t, "1")
	c.send(two[1000:])
	c.readResponse().wantAccepted(t, "2")
}

// An accepted packet stays accepted when the next request is malformed.
func TestPipeliningBeforeMalformedRequest(t *testing.T) {
	f := serve(t, standard())
	c := f.dial()
	c.send(post(aPacket("1", 0)) + "rubbish\r\n\r\n")
	c.readResponse().wantAccepted(t, "1")
	c.readResponse().wantRefusal(t, 400, problem.Malformed)
}

func TestTruncatedRequests(t *testing.T) {
	f := serve(t, standard())
	body := aPacket("p", 200_000)
	for name, request := range map[string]string{
		"in a small body": post(aPacket("p", 1000))[:200],
		"in a large body": post(body)[:100_000],
		"before the body": post(body)[:strings.Index(post(body), "{")],
		"in a chunk":      chunked(body, 1000)[:50_000],
		"between chunks":  strings.TrimSuffix(chunked(body, 1000), "0\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			c := f.dial()
			c.send(request)
			_ = c.conn.(*net.TCPConn).CloseWrite()
			c.readResponse().wantRefusal(t, 400, problem.Malformed)
		})
	}
	f.wantCounted(map[problem.Code]int{problem.Malformed: 5})
}

// A connection without a request is not counted as a refusal.
func TestConnectionWithoutRequest(t *testing.T) {
	f := serve(t, standard())
	c := f.dial()
	_ = c.conn.Close()
	c = f.dial()
	_ = c.conn.(*net.TCPConn).CloseWrite()
	if n, err := io.Copy(io.Discard, c.reader); n != 0 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	f.wantCounted(nil)
}

func TestSlowRequests(t *testing.T) {
	o := standard()
	o.server.Timeouts.Read = 50 * time.Millisecond
	f := serve(t, o)
	body := aPacket("p", 1000)
	large := aPacket("p", 500_000)
	// The timeout of a request begins with its first byte, but that of the first request with the
	// connection. An event loop serves it until a request is not for the fast path.
	reusable := func() *client {
		for range 1000 {
			c := f.dial()
			if _, err := io.WriteString(c.conn, post(aPacket("first", 0))); err != nil {
				continue
			}
			if response, err := http.ReadResponse(c.reader, nil); err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				return c
			}
		}
		t.Fatal("no connection lasts until its first request is answered")
		return nil
	}
	cases := map[string]string{
		"header":      "POST /ingest HTTP/1.1\r\nHost",
		"no body":     strings.TrimSuffix(post(body), body),
		"small body":  strings.TrimSuffix(post(body), "}"),
		"large body":  post(large)[:40_000], // which arrives at once
		"chunk":       chunked(body, 100)[:300],
		"unread body": strings.TrimSuffix(post(body, "Content-Encoding: br"), "}"),
	}
	for name, request := range cases {
		t.Run(name, func(t *testing.T) {
			c := reusable()
			c.send(request)
			a := c.readResponse()
			if name == "unread body" {
				a.wantRefusal(t, 415, problem.UnsupportedEncoding)
				c.ends() // since the rest of the body does not arrive
				return
			}
			a.wantRefusal(t, 408, problem.SlowRequest)
			c.wantClosed(a)
		})
	}
	f.wantCounted(map[problem.Code]int{problem.SlowRequest: len(cases) - 1, problem.UnsupportedEncoding: 1})
}

func TestIdleConnectionIsClosed(t *testing.T) {
	o := standard()
	o.server.Timeouts.Idle = 20 * time.Millisecond
	f := serve(t, o)
	c := f.dial()
	c.wantReusable()
	if n, err := io.Copy(io.Discard, c.reader); n != 0 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	f.wantCounted(nil)
}
