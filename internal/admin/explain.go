package admin

import (
	"context"
	"errors"
	"time"

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

// explain explains decisions about a packet, those about the next packets, or a share.
func (a *api) explain(r *request) (*answer, error) {
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

func (a *api) explainPacket(r *request) (*answer, error) {
	for _, name := range []string{"emitter", "packet"} {
		if r.text(name) == "" {
			return nil, missing(name)
		}
	}
	latest, err := a.control.Distributor().Explain([]byte(r.text("emitter")), []byte(r.text("packet")))
	if err != nil {
		return nil, refuseExplain(err)
	}
	decisions := append([]router.Explanation{latest}, latest.Earlier...)
	decisions[0].Earlier = nil
	return &answer{body: map[string][]router.Explanation{"decisions": decisions}}, nil
}

func (a *api) explainNext(r *request) (*answer, error) {
	messages, n := r.number("messages", 1, 1, fairshare.MaxMessages), r.number("n", 10, 1, router.MaxNext)
	if r.query.err != nil {
		return nil, r.query.err
	}
	next, err := a.control.Distributor().Next(int(messages), int(n))
	if err != nil {
		return nil, refuseExplain(err)
	}
	return &answer{body: map[string][]router.Explanation{"next": orEmpty(next)}}, nil
}

// shareExplanation is the answer about the share of an analyzer.
type shareExplanation struct {
	Analyzer string  `json:"analyzer"`
	Share    float64 `json:"share"`
	Weight   float64 `json:"weight"`
	Ramp     float64 `json:"ramp"`
	Member   bool    `json:"member"`
	Out      string  `json:"out,omitempty"`
	Sentence string  `json:"sentence"`
}

func (a *api) explainShare(r *request) (*answer, error) {
	e, err := a.control.Distributor().ExplainAnalyzer(r.text("analyzer"))
	if err != nil {
		return nil, refuse(notFound, "%v", err)
	}
	return &answer{body: shareExplanation{e.ID, e.Share, e.Weight, e.Ramp, e.Out == "", e.Out, e.Sentence}}, nil
}

// refuseExplain returns the refusal of an error of the router.
func refuseExplain(err error) error {
	var none *router.UnknownPickError
	if errors.Is(err, router.ErrNotRecorded) || errors.As(err, &none) {
		return refuse(notFound, "%v", err)
	}
	return err
}

// trace writes recorded decisions and those to come.
func (a *api) trace(r *request) (*answer, error) {
	limit := router.TraceLimit{For: r.duration("duration", defaultTrace, 0, maxTrace), Past: int(r.number("past", 0, 0, maxTracePast))}
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
	return &answer{contentType: "application/x-ndjson", stream: func(s *stream) {
		defer release()
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		_ = a.control.Distributor().Trace(ctx, s, limit) // the client is gone, or the distributor stops
	}}, nil
}
