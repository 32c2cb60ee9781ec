package admin

import (
	"context"
	"errors"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/router"
)

const (
	defaultTrace = 10 * time.Second
	maxTrace     = 10 * time.Minute
	// maxTracePast is the number of entries of the recorder.
	maxTracePast = 1 << 16
)

// explain answers with the decisions about a packet, the decisions about the next packets, or the
// computation of a share.
func (a *api) explain(r *request) (*response, error) {
	kinds := 0
	for _, is := range []bool{r.has("emitter") || r.has("packet"), r.has("messages") || r.has("n"), r.has("analyzer")} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return nil, refuse(malformed, "the parameters must be emitter and packet, or messages and n, or analyzer")
	case r.has("analyzer"):
		return a.explainShare(r)
	case r.has("messages"), r.has("n"):
		return a.explainNext(r)
	default:
		return a.explainPacket(r)
	}
}

func (a *api) explainPacket(r *request) (*response, error) {
	for _, name := range []string{"emitter", "packet"} {
		if r.text(name) == "" {
			return nil, missing(name)
		}
	}
	latest, err := a.control.Distributor().Explain([]byte(r.text("emitter")), []byte(r.text("packet")))
	if err != nil {
		return nil, refuseExplain(err)
	}
	all := decisionsOf(append([]router.Explanation{latest}, latest.Earlier...))
	return &response{body: adminapi.Decisions{Decision: all[0], Decisions: all}}, nil
}

func decisionsOf(all []router.Explanation) []adminapi.Decision {
	decisions := []adminapi.Decision{}
	for _, e := range all {
		one := adminapi.Decision{
			Seq: e.Seq, Time: e.Time, Cause: e.Cause, Messages: e.Messages, Chosen: e.Chosen, RunnerUp: e.RunnerUp,
			Margin: e.Margin, Bound: e.Bound, WaitedUS: e.WaitedMicros, Outcome: (*adminapi.Outcome)(e.Outcome),
		}
		for _, c := range e.Candidates {
			one.Candidates = append(one.Candidates, adminapi.Candidate{
				ID: c.ID, CandidateState: (*adminapi.CandidateState)(c.CandidateState), Out: c.Out, Until: c.Until,
			})
		}
		decisions = append(decisions, one)
	}
	return decisions
}

func (a *api) explainNext(r *request) (*response, error) {
	messages, n := r.number("messages", 1, 1, fairshare.MaxMessages), r.number("n", 10, 1, router.MaxNext)
	if r.query.err != nil {
		return nil, r.query.err
	}
	next, err := a.control.Distributor().Next(int(messages), int(n))
	if err != nil {
		return nil, refuseExplain(err)
	}
	return &response{body: adminapi.NextDecisions{Next: decisionsOf(next)}}, nil
}

func (a *api) explainShare(r *request) (*response, error) {
	e, err := a.control.Distributor().ExplainAnalyzer(r.text("analyzer"))
	if err != nil {
		return nil, refuse(notFound, "%v", err)
	}
	return &response{body: adminapi.ShareExplanation{
		Analyzer: e.ID, Share: e.Share, Weight: e.Weight, Ramp: e.Ramp, Member: e.Out == "", Out: e.Out, Sentence: e.Sentence,
	}}, nil
}

// refuseExplain returns the refusal for an error of the router.
func refuseExplain(err error) error {
	var none *router.UnknownPickError
	if errors.Is(err, router.ErrNotRecorded) || errors.As(err, &none) {
		return refuse(notFound, "%v", err)
	}
	return err
}

// trace writes the recorded decisions and then each new one.
func (a *api) trace(r *request) (*response, error) {
	limit := router.TraceLimit{For: r.duration("duration", defaultTrace, maxTrace), Past: int(r.number("past", 0, 0, maxTracePast))}
	if r.query.err != nil {
		return nil, r.query.err
	}
	if a.control.Config().Distributor.Explain != distributor.ExplainOn {
		return nil, refuse(notFound, "%v", router.ErrNotRecorded)
	}
	release, err := a.traceStreams.take()
	if err != nil {
		return nil, err
	}
	return &response{contentType: "application/x-ndjson", stream: func(s *stream) {
		defer release()
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		_ = a.control.Distributor().Trace(ctx, s, limit) // the client is gone, or the distributor stops
	}}, nil
}
