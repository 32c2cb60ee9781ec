package distributor

// reservedDescriptors are for listeners, journal, duplicate window, dead letters, metrics
// and the runtime.
const reservedDescriptors = 64

// reservedMembers is the number of members of a group that descriptors are reserved for.
const reservedMembers = 16

// minConnectionsWarning is the connection limit below which New logs a warning.
const minConnectionsWarning = 1024

// maxConnections returns the limit of emitters' connections for a limit of descriptors (0:
// none). It reserves descriptors for the journal and the analyzers, and a sixteenth of the
// rest for connections that are being refused.
func (c Config) maxConnections(descriptors uint64) int {
	if descriptors == 0 {
		return c.Server.MaxConnections
	}
	analyzers := len(c.Targets) + (reservedMembers-1)*len(c.Targets.groups())
	reserved := uint64(reservedDescriptors + analyzers*(c.Analyzer.Concurrency+1))
	if descriptors <= reserved {
		return 1
	}
	free := descriptors - reserved
	return int(max(1, min(free-free/16, uint64(c.Server.MaxConnections))))
}
