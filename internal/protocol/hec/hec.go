// Package hec takes logs as Splunk's HTTP event collector does.
package hec

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/server"
)

// prefix begins all paths of the protocol.
const prefix = "/services/collector"

// The codes of responses.
const (
	codeSuccess      = 0
	codeNoToken      = 2
	codeInvalidToken = 4
	codeNoData       = 5
	codeInvalidData  = 6
	codeBusy         = 9
	codeNoEvent      = 12
	codeHealthy      = 17
)

// Protocol answers requests. It may be used concurrently.
type Protocol struct {
	receiver    *receiver.Receiver
	translators sync.Pool // of *translator
}

// New returns a Protocol whose packets a receiver accepts.
func New(r *receiver.Receiver) *Protocol {
	return &Protocol{receiver: r, translators: sync.Pool{New: func() any { return new(translator) }}}
}

// Handle implements receiver.HTTP.
func (p *Protocol) Handle(r *server.Request, to *http1.Response) (handled bool) {
	path, ours := strings.CutPrefix(r.Path, prefix)
	if !ours {
		return false
	}
	switch path {
	case "", "/", "/event", "/event/1.0":
		p.receive(r, (*translator).events, to)
	case "/raw", "/raw/1.0":
		p.receive(r, (*translator).lines, to)
	case "/health", "/health/1.0":
		answer(to, http.StatusOK, codeHealthy, "HEC is healthy")
	default:
		return false
	}
	return true
}

// receive answers a request with records, which translate adds to packets.
func (p *Protocol) receive(r *server.Request, translate translation, to *http1.Response) {
	why := p.allowed(r)
	var from receiver.Sender
	if why == nil {
		from, why = p.receiver.AuthenticateToken(r, token(r))
	}
	invalid := none
	if why == nil {
		invalid, why = p.accept(r, from, translate)
	}
	if why != nil {
		refuse(to, why, r.Head.Authorization != nil)
		if why.Code == problem.Malformed {
			addInvalidEvent(to, invalid)
		}
		to.Unanswered = to.Status == http.StatusServiceUnavailable && isSplunkLogging(r.Head)
		return
	}
	answer(to, http.StatusOK, codeSuccess, "Success")
}

func (p *Protocol) allowed(r *server.Request) *problem.Problem {
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		return nil
	}
	return p.receiver.Refuse(problem.Problem{Code: problem.MethodNotAllowed, Detail: "The requested method is not allowed on this path: POST is"})
}

// token returns the token of a request, which may be a parameter, too.
func token(r *server.Request) []byte {
	if text := receiver.Token(r.Head.Authorization); text != nil {
		return text
	}
	if text, given := r.Parameter("token"); given {
		return []byte(text)
	}
	return nil
}

// accept has the records of a request accepted, or returns why they are not, and the number of the
// event from which on none is accepted, or none.
func (p *Protocol) accept(r *server.Request, from receiver.Sender, translate translation) (invalid int, why *problem.Problem) {
	ctx, cancel := receiver.WithCapacityTimeout()
	defer cancel()
	body, why := p.receiver.Read(ctx, r)
	if why != nil {
		return none, why
	}
	request := p.receiver.NewRequest(ctx, from, body)
	t := p.translators.Get().(*translator)
	t.begin(r, request)
	err := translate(t, request.Body)
	target := t.target(r)
	t.trim()
	p.translators.Put(t)
	invalid = invalidEvent(request, err)
	return invalid, p.receiver.AcceptRequest(request, target, err)
}

// none is no number of an event.
const none = -1

// invalidEvent returns the number, from 0, of the event from which on none is accepted, if a request
// with an error of its translation, or with rejected events only, is refused for them.
func invalidEvent(request *receiver.Request, err error) int {
	unread, isUnread := errors.AsType[*receiver.UnreadError](err)
	switch {
	case isUnread && request.Packets.Len() > 0:
		return unread.Records
	case errors.Is(err, errNoData):
		return none
	default:
		return 0
	}
}

// addInvalidEvent adds the number of an event to a refusal.
func addInvalidEvent(to *http1.Response, number int) {
	if number != none {
		body := append(to.Body[:len(to.Body)-1], `,"invalid-event-number":`...)
		to.Body = append(strconv.AppendInt(body, int64(number), 10), '}')
	}
}

// isSplunkLogging reports whether the client is the package splunk-logging of Node.js, which
// winston-splunk-httplogger uses. It retries a request only if it gets no response, whatever the status
// of a response is. Its User-Agent is that of its HTTP client, Needle; old versions send none.
func isSplunkLogging(head *http1.Head) bool {
	agent := head.Field("user-agent")
	return http1.Is(head.Field("content-type"), "application/x-www-form-urlencoded") &&
		(agent == nil || bytes.HasPrefix(agent, []byte("Needle/")))
}

// refuse answers as Splunk does. Splunk's clients retry after 503 with code 9, and after 429.
func refuse(to *http1.Response, why *problem.Problem, authorized bool) {
	status, code, text := receiver.StatusOf(why), codeInvalidData, "Invalid data format: "+why.Detail
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		code, text = codeBusy, "Server is busy: "+why.Detail
	case status == http.StatusUnauthorized && !authorized:
		code, text = codeNoToken, "Token is required"
	case status == http.StatusUnauthorized:
		status, code, text = http.StatusForbidden, codeInvalidToken, "Invalid token"
	case status == http.StatusForbidden:
		code, text = codeInvalidToken, why.Detail
	case why.Code == problem.MethodNotAllowed:
		text = why.Detail
	}
	if known, is := refusals[why.Detail]; is && status == http.StatusBadRequest {
		code, text = known, why.Detail
	}
	answer(to, status, code, text)
	to.RetryAfter = receiver.RetryAfterOf(why)
	if status == http.StatusUnauthorized {
		to.Authenticate = "Basic"
	}
	if status == http.StatusMethodNotAllowed {
		to.Allow = "POST, PUT"
	}
}

func answer(to *http1.Response, status, code int, text string) {
	body := problem.AppendQuoted(append(to.Body[:0], `{"text":`...), text)
	body = strconv.AppendInt(append(body, `,"code":`...), int64(code), 10)
	to.SetJSON(status, append(body, '}'))
}
