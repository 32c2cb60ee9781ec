package analyzer

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// result is the result of a packet that was not refused.
type result struct {
	packetID  packet.Text
	duplicate bool
}

// process processes one packet; traceparent is empty if the packet has none. The error is a
// *packet.Refusal or errAborted.
func (a *Analyzer) process(w *workspace, body, traceparent []byte) (result, error) {
	info, err := packet.Check(body, a.config.MaxPacketMessages)
	if err != nil {
		return result{}, err
	}
	begin := time.Now()
	if a.window.Record(info, body, begin) {
		a.counters.duplicates.Add(1)
		return result{info.PacketID, true}, nil
	}
	if err := a.delay(); err != nil {
		return result{}, err
	}
	w.messages = appendMessages(w.messages[:0], body)
	a.observe(w.messages, traceparent)
	if a.processed != nil {
		a.processed(info, body)
	}
	a.metrics.processing.Observe(time.Since(begin).Seconds())
	return result{info.PacketID, false}, nil
}

// observe is the extension point for message processing: it is called once with each packet's
// messages, in order, and must not retain the messages or their texts. traceparent is the value
// that the emitter sent with the packet, or empty.
func (a *Analyzer) observe(messages []message, traceparent []byte) {
	a.counters.observe(messages)
	if len(traceparent) > 0 {
		a.counters.traced.Add(1)
	}
}

func (a *Analyzer) delay() error {
	if a.config.ProcessingDelay == 0 {
		return nil
	}
	timer := time.NewTimer(a.config.ProcessingDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-a.aborted:
		return errAborted
	}
}
