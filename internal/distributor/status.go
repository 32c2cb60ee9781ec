package distributor

import (
	"logstreamer/internal/dispatch"
	"logstreamer/internal/packet"
)

// Status is what a distributor is and has done, about one moment.
type Status struct {
	Accepted, Delivered, DeadLettered packet.Volume
	// Waiting is accepted and not bound to an analyzer.
	Waiting     packet.Volume
	Unaccounted int64 // messages
	Analyzers   []AnalyzerStatus
}

// AnalyzerStatus is one analyzer's part.
type AnalyzerStatus struct {
	dispatch.Account
	Queued, InFlight packet.Volume
	Healthy          bool
	// Health is a word for people.
	Health string
}

// Status may be called concurrently, once the distributor has started.
func (d *Distributor) Status() Status {
	books := d.dispatcher.Books()
	status := Status{
		Accepted:     d.journal.Stats().Accepted,
		Delivered:    books.Delivered,
		DeadLettered: books.DeadLettered,
		Waiting:      d.waiting(),
		Unaccounted:  d.Unaccounted(),
	}
	for i, account := range books.Analyzers {
		analyzer := d.analyzers[i]
		one := AnalyzerStatus{Account: account, Healthy: analyzer.Healthy(), Health: analyzer.Health()}
		one.Queued, one.InFlight = analyzer.Volumes()
		status.Analyzers = append(status.Analyzers, one)
	}
	return status
}
