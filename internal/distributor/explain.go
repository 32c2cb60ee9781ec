package distributor

import (
	"context"
	"io"

	"github.com/logstreamer/logstreamer/internal/router"
)

// Explain returns why a packet was routed to its analyzer; see router.Router.Explain. It may
// be called concurrently, like the other methods here.
func (d *Distributor) Explain(emitterID, packetID []byte) (router.Explanation, error) {
	return d.router.Explain(emitterID, packetID)
}

// Next returns the analyzers that the next n packets would be routed to; see router.Router.Next.
func (d *Distributor) Next(messages, n int) ([]router.Explanation, error) {
	return d.router.Next(messages, n)
}

// ExplainAnalyzer returns why an analyzer has its share; see router.Router.ExplainAnalyzer.
func (d *Distributor) ExplainAnalyzer(id string) (router.AnalyzerExplanation, error) {
	return d.router.ExplainAnalyzer(id)
}

// Trace writes the recorded picks and then each new one; see router.Router.Trace.
func (d *Distributor) Trace(ctx context.Context, w io.Writer, limit router.TraceLimit) error {
	return d.router.Trace(ctx, w, limit)
}
