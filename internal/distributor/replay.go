package distributor

import (
	"errors"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// DeadLetters returns the store of dead letters, which can be listed and deleted.
func (d *Distributor) DeadLetters() *deadletter.Store { return d.deadLetters }

// Replayer returns the replayer of dead letters.
func (d *Distributor) Replayer() *deadletter.Replayer { return d.replayer }

var errNoAnalyzer = errors.New("no analyzer is healthy")

// replayJournal is the journal for replays. Like emitters, replays append nothing while the
// distributor stops, or while packets in memory have no eligible analyzer.
type replayJournal struct{ distributor *Distributor }

// Append appends packets to the journal.
func (r replayJournal) Append(packets []*packet.Packet) (taken int, err error) {
	switch r.distributor.intake.Closed() {
	case intake.Draining:
		return 0, journal.ErrClosed
	case intake.NoAnalyzer:
		return 0, errNoAnalyzer
	}
	return tappedJournal{r.distributor.journal, &r.distributor.taps}.Append(packets)
}
