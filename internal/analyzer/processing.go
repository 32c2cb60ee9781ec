package analyzer

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// outcome is how a packet ended that was not refused.
type outcome struct {
	packetID  packet.Text
	duplicate bool
}

// process takes one packet. The error is a *packet.Refusal or errCutOff.
func (a *Analyzer) process(w *workspace, body []byte) (outcome, error) {
	info, err := packet.Check(body, a.config.MaxPacketMessages)
	if err != nil {
		return outcome{}, err
	}
	begin := time.Now()
	if a.window.Record(info, body, begin) {
		a.tally.duplicates.Add(1)
		return outcome{info.PacketID, true}, nil
	}
	if err := a.delay(); err != nil {
		return outcome{}, err
	}
	w.messages = appendMessages(w.messages[:0], body)
	a.observe(w.messages)
	a.metrics.processing.Observe(time.Since(begin).Seconds())
	return outcome{info.PacketID, false}, nil
}

// observe is where everything that the analyzer learns from messages begins:
// what is added to it gets each packet's messages once, in order, and may not
// keep them or their texts.
func (a *Analyzer) observe(messages []message) {
	a.tally.observe(messages)
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
	case <-a.cut:
		return errCutOff
	}
}
