package distributor

// Files that the process needs beside connections from emitters: its listeners,
// journal, duplicate window, dead letters, metrics and what the runtime opens.
const reservedDescriptors = 64

// fewConnections is how few connections from emitters are told of at the start.
const minConnectionsWarning = 1024

// maxConnections returns how many connections from emitters may be open when the
// process may open so many files, so that there are always some for analyzers and
// the journal; 0 is no limit. It leaves a sixteenth for connections that are being
// refused or handed over.
func (c Config) maxConnections(descriptors uint64) int {
	if descriptors == 0 {
		return c.Ingest.MaxConnections
	}
	reserved := uint64(reservedDescriptors + len(c.Targets)*(c.Analyzer.Concurrency+1))
	if descriptors <= reserved {
		return 1
	}
	free := descriptors - reserved
	return int(max(1, min(free-free/16, uint64(c.Ingest.MaxConnections))))
}
