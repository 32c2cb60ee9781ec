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

// RefuseUntranslated drops the packets of a request of which a record cannot be added, and
// counts the request: the error is that of Group.Add.
func (r *Receiver) RefuseUntranslated(packets *record.Packets, err error) *problem.Problem {
	packets.Drop()
	var unavailable record.UnavailableError
	if errors.As(err, &unavailable) {
		return r.Refuse(*body.Unavailable(intake.Reason(unavailable)))
	}
	return r.Refuse(problem.Problem{Code: problem.TooLarge, Detail: err.Error()})
}

// Reject counts records that are refused for good while others of their request are accepted.
func (r *Receiver) Reject(code problem.Code, records int) { r.counters.reject(code, records) }

// CountSkewed counts records whose timestamp is far in the future or in the past: see
// record.IsSkewed.
func (r *Receiver) CountSkewed(records int) { r.counters.skewed.Add(float64(records)) }
