package memory

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/backlog"
)

// Sample implements journal.Journal.
func (j *Journal) Sample(limit int, visit backlog.Visit) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for at, weight := range backlog.Draw(j.queue.Len(), limit) {
		visit(j.queue.At(at), weight)
	}
}

// Oldest implements journal.Journal.
func (j *Journal) Oldest() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.queue.Len() == 0 {
		return time.Time{}
	}
	return j.queue.First().Accepted
}
