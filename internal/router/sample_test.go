package router

import (
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/backlog"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Packets in each queue of the router are in its sample.
func TestSample(t *testing.T) {
	h := newHarness(t, 1)
	h.addMany(t, 50)
	h.Round(t.Context(), time.Now())
	bound := h.analyzers[0].take(50)
	for i := range bound {
		bound[i].Packet.Accepted = time.Unix(int64(100-i), 0)
	}
	h.Nacked("a0", bound[:10])
	for i := range bound[10:20] {
		bound[10+i].Attempted = true
	}
	h.Nacked("a0", bound[10:20])
	for i := range bound[20:30] {
		bound[20+i].Failures = &upstream.FailureHistory{Attempts: 1, Last: time.Now()}
	}
	h.Nacked("a0", bound[20:30])
	h.store.failFor(allPackets)
	var rejections []upstream.Rejection
	for _, d := range bound[30:40] {
		rejections = append(rejections, upstream.Rejection{Delivery: d})
	}
	h.Rejected("a0", rejections)
	h.pending = append(h.pending, bound[40:]...)
	var e backlog.Emitters
	h.Sample(4, e.Add)
	if got := e.Top(2); e.Sampled() != 20 || len(got) != 1 || got[0].ID != "e" || got[0].Packets != 50 {
		t.Errorf("%d sampled: %+v", e.Sampled(), got)
	}
	if got := h.Oldest(); !got.Equal(time.Unix(100-49, 0)) {
		t.Errorf("the oldest is of %v", got)
	}
}
