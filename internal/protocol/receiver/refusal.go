package receiver

import (
	"errors"
	"net/http"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/body"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// Refuse counts a request that is refused, and returns the problem with a Retry-After if it
// may be sent again.
func (r *Receiver) Refuse(why problem.Problem) *problem.Problem {
	in := r.service.deps.Intake
	if why.Code == problem.SlowRequest && in.Draining() {
		why = *body.Unavailable(intake.Draining)
	}
	in.CountRefusal(string(why.Code))
	return r.counted(why)
}

// counted is Refuse for what the intake has counted.
func (r *Receiver) counted(why problem.Problem) *problem.Problem {
	r.counters.refuse(why.Code)
	if why.RetryAfter == 0 && why.Code.Status() == http.StatusServiceUnavailable {
		why.RetryAfter = r.service.deps.Intake.RetryAfter(intake.Reason(why.Code))
	}
	return &why
}

// refusedBy translates a refusal of the intake.
func (r *Receiver) refusedBy(why *intake.Refusal) *problem.Problem {
	return r.counted(problem.Problem{Code: problem.Code(why.Reason), Detail: why.Detail, PacketID: why.PacketID, RetryAfter: why.RetryAfter})
}

// RefuseUntranslated drops the packets of a request of which a record cannot be translated, and
// counts the request. The error is that of Group.Add, or what is malformed.
func (r *Receiver) RefuseUntranslated(packets *record.Packets, err error) *problem.Problem {
	packets.Drop()
	return r.Refuse(*untranslated(err))
}

// untranslated returns the refusal for an error of Group.Add, one that is a refusal, or one of
// a translation.
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

// Reject counts records that are refused for good: while others of their request are accepted,
// or because their protocol has no refusal.
func (r *Receiver) Reject(code problem.Code, records int) { r.counters.reject(code, records) }

// CountSkewed counts records whose timestamp is far in the future or in the past: see
// record.IsSkewed.
func (r *Receiver) CountSkewed(records int) { r.counters.skewed.Add(float64(records)) }

// CountKernelDrops counts datagrams that the kernel has dropped.
func (r *Receiver) CountKernelDrops(datagrams int) { r.counters.kernelDrops.Add(float64(datagrams)) }
