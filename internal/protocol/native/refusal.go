package native

import (
	"bytes"
	"errors"
	"net/http"
	"os"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/body"
)

// Reasons are the reasons for which this protocol refuses requests, its own and the intake's.
func Reasons() []string {
	var reasons []string
	for _, code := range problem.Refusals() {
		reasons = append(reasons, string(code))
	}
	return reasons
}

// The kinds of bodies.
type bodyKind int

const (
	singlePacket bodyKind = iota
	packetLines
)

const linesMediaType = "application/x-ndjson"

// kindOf returns the kind of a Content-Type. NDJSON, in any case and with any parameters, means
// lines; every other type, and none, means a single packet.
func kindOf(value []byte) bodyKind {
	if len(value) < len(linesMediaType) || !http1.Is(value[:len(linesMediaType)], linesMediaType) {
		return singlePacket
	}
	if rest := bytes.TrimLeft(value[len(linesMediaType):], " \t"); len(rest) == 0 || rest[0] == ';' {
		return packetLines
	}
	return singlePacket
}

// Refuse answers a request with a problem, and counts it. Methods, unless empty, are the methods
// that the path allows.
func (p *Protocol) Refuse(to *http1.Response, why problem.Problem, methods string) {
	p.refuse(to, why)
	to.Allow = methods
}

// RefuseConnection implements server.Protocol.
func (p *Protocol) RefuseConnection(detail string, retryAfter int, to *http1.Response) {
	p.count(problem.Overloaded)
	problem.Respond(to, problem.Problem{Code: problem.Overloaded, Detail: detail, RetryAfter: retryAfter})
}

// RefuseUnreadable implements server.Protocol.
func (p *Protocol) RefuseUnreadable(err error, to *http1.Response) {
	why := problem.Problem{Code: problem.Malformed, Detail: "the request cannot be read: " + err.Error()}
	var fault *http1.Fault
	switch {
	case errors.As(err, &fault):
		why.Detail = fault.Detail
		if why.Status = fault.Status; fault.Status == http.StatusRequestHeaderFieldsTooLarge {
			why.Code = problem.TooLarge
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		why.Code, why.Detail = problem.SlowRequest, "the request did not arrive in time"
	}
	p.refuse(to, why)
}

// refuse answers with a problem that the intake has not counted, and counts it. During a shutdown a
// slow request is refused as draining, which is not its client's error.
func (p *Protocol) refuse(to *http1.Response, why problem.Problem) {
	if why.Code == problem.SlowRequest && p.intake.Draining() {
		why = *body.Unavailable(intake.Draining)
	}
	p.count(why.Code)
	if why.Code.Status() == http.StatusServiceUnavailable {
		why.RetryAfter = p.intake.RetryAfter(intake.Reason(why.Code))
	}
	problem.Respond(to, why)
}

func (p *Protocol) count(code problem.Code) { p.intake.CountRefusal(string(code)) }

// answerRefusal answers with a refusal of the intake.
func (p *Protocol) answerRefusal(to *http1.Response, refusal *intake.Refusal) {
	why := problemOf(refusal)
	if why.RetryAfter == 0 {
		why.RetryAfter = p.intake.RetryAfter(refusal.Reason)
	}
	problem.Respond(to, why)
}

// problemOf translates a refusal of the intake.
func problemOf(r *intake.Refusal) problem.Problem {
	return problem.Problem{Code: problem.Code(r.Reason), Detail: r.Detail, PacketID: r.PacketID, RetryAfter: r.RetryAfter}
}
