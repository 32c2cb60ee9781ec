package receiver

import (
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/body"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// Refuse counts a refused request, and returns the problem, with a Retry-After if the request may
// be sent again.
func (r *Receiver) Refuse(why problem.Problem) *problem.Problem {
	in := r.service.deps.Intake
	if why.Code == problem.SlowRequest && in.Draining() {
		why = *body.Unavailable(intake.Draining)
	}
	in.CountRefusal(string(why.Code))
	return r.counted(why)
}

// counted is Refuse for problems that the intake has counted.
func (r *Receiver) counted(why problem.Problem) *problem.Problem {
	r.counters.refuse(why.Code)
	return r.withRetryAfter(why)
}

func (r *Receiver) withRetryAfter(why problem.Problem) *problem.Problem {
	if why.RetryAfter == 0 && why.Code.Status() == http.StatusServiceUnavailable {
		why.RetryAfter = r.service.deps.Intake.RetryAfter(intake.Reason(why.Code))
	}
	return &why
}

// refusedBy translates a refusal of the intake.
func (r *Receiver) refusedBy(why *intake.Refusal) *problem.Problem {
	return r.withRetryAfter(problem.Problem{Code: problem.Code(why.Reason), Detail: why.Detail, PacketID: why.PacketID, RetryAfter: why.RetryAfter})
}

// RefuseUntranslated drops the packets of a request with a record that cannot be translated, and
// counts the request. The error is an error of Group.Add, or of the malformed record.
func (r *Receiver) RefuseUntranslated(packets *record.Packets, err error) *problem.Problem {
	packets.Drop()
	return r.Refuse(*untranslated(err))
}

// untranslated returns the refusal for an error of Group.Add, for a refusal, or for an error of a
// translation.
func untranslated(err error) *problem.Problem {
	var fault *problem.Problem
	var unavailable record.UnavailableError
	switch {
	case errors.As(err, &fault):
		return fault
	case errors.As(err, &unavailable):
		return body.Unavailable(intake.Reason(unavailable))
	case errors.Is(err, record.ErrTooLarge):
		return &problem.Problem{Code: problem.TooLarge, Detail: err.Error()}
	default:
		return &problem.Problem{Code: problem.Malformed, Detail: err.Error()}
	}
}

// Reject counts records that are refused for good: because other records of their request are
// accepted, or because their protocol has no refusal. Reject logs the first rejected records after
// a minute without any, with attributes as those of slog.Logger.Log.
func (r *Receiver) Reject(code problem.Code, records int, attributes ...any) {
	if records > 0 && r.counters.rejected[code].add(records, time.Now()) {
		r.logger.Warn("records are rejected, which their sender does not send again; further ones are only counted until a minute has passed without any",
			append([]any{"reason", string(code), "records", records}, attributes...)...)
	}
}

// LogClosed logs that a connection is closed for a refusal: the first one for a reason after a minute
// without any, as a client may connect again and again.
func (r *Receiver) LogClosed(client net.Addr, why *problem.Problem) {
	if r.counters.closed[why.Code].begins(time.Now()) {
		r.logger.Warn("a connection is closed; further ones for this reason are only counted until a minute has passed without any",
			"client", client.String(), "reason", string(why.Code), "detail", why.Detail)
	}
}

// CountKernelDrops counts datagrams that the kernel has dropped.
func (r *Receiver) CountKernelDrops(datagrams int) { r.counters.kernelDrops.Add(float64(datagrams)) }

// RefuseMethod refuses a request whose method its path does not allow.
func (r *Receiver) RefuseMethod(allow string) *problem.Problem {
	return r.Refuse(problem.Problem{Code: problem.MethodNotAllowed, Detail: "the path allows " + allow})
}

// StatusOf returns the HTTP status of a refusal for clients of other systems, most of which repeat
// requests after 429 and 503 only.
func StatusOf(why *problem.Problem) int {
	switch why.Code {
	case problem.AckTimeout, problem.SlowRequest:
		return http.StatusServiceUnavailable
	case problem.UnsupportedEncoding:
		return http.StatusBadRequest
	default:
		return why.HTTPStatus()
	}
}

// RetryAfterOf returns the wait in a refusal to clients of other systems, in seconds, which is at
// least one if they are to send the request again.
func RetryAfterOf(why *problem.Problem) int {
	const limit = 5
	switch StatusOf(why) {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return min(max(why.RetryAfter, 1), limit)
	default:
		return min(why.RetryAfter, limit)
	}
}

// RefuseText answers with a refusal as plain text.
func RefuseText(to *http1.Response, why *problem.Problem) {
	AnswerText(to, StatusOf(why), why.Detail)
	if why.Code == problem.Unauthorized {
		to.Authenticate = "Basic"
	}
	to.RetryAfter = RetryAfterOf(why)
}

// AnswerText answers with plain text.
func AnswerText(to *http1.Response, status int, text string) {
	*to = http1.Response{
		Status: status, ContentType: "text/plain; charset=utf-8", Body: append(append(to.Body[:0], text...), '\n'),
	}
}
