//go:build !noeventloop

package server

import (
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/server/eventloop"
)

func (e *echo) NewLoopHandler(*eventloop.Loop) eventloop.Handler { return echoHandler{e} }

type echoHandler struct{ echo *echo }

func (h echoHandler) Open(c *eventloop.Conn) eventloop.Stream {
	return &echoStream{echo: h.echo, conn: c}
}

func (echoHandler) Flush() {}

type echoStream struct {
	echo *echo
	conn *eventloop.Conn
	body []byte
}

func (s *echoStream) Begin(*http1.Head, bool) bool { return true }

func (s *echoStream) Receive(body []byte) {
	s.body = append(s.body, body...)
	s.Process()
}

func (s *echoStream) Free() []byte { return nil }

func (s *echoStream) Append(part []byte) { s.body = append(s.body, part...) }

func (s *echoStream) Process() {
	var to http1.Response
	s.echo.answer(s.body, &to)
	s.body = s.body[:0]
	s.conn.Reply(&to)
}

func (s *echoStream) Abort(err error) {
	var to http1.Response
	s.echo.RefuseUnreadable(err, &to)
	s.conn.GiveUp(&to)
}

func (s *echoStream) Drop() { s.body = nil }
