package intake

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// unauthorizedClients logs requests without a valid token. Their emitters are not known, but their
// addresses are. It may be used concurrently.
type unauthorizedClients struct {
	logger *slog.Logger

	mu     sync.Mutex // guards all below
	logged time.Time
	silent int64 // requests since the latest log line
}

// RecordUnauthorized logs the refusal of a request without a valid token, unless one was logged within
// refusalLogInterval.
func (i *Intake) RecordUnauthorized(client netip.Addr, now time.Time) {
	i.unauthorized.add(client, now)
}

func (u *unauthorizedClients) add(client netip.Addr, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.silent++
	if now.Sub(u.logged) >= refusalLogInterval {
		u.logger.Warn("requests without a valid token are refused; the address is that of the last one", "requests", u.silent, "address", client)
		u.logged, u.silent = now, 0
	}
}
