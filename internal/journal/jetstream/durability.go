package jetstream

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// durability is what is known of the servers' syncs.
type durability struct {
	mu    sync.Mutex // guards sync
	sync  syncKind
	known bool // it was logged
}

type syncKind int

// The kinds, from the one of which least is known to the worst.
const (
	syncUnknown syncKind = iota
	syncAlways
	syncInterval
)

const (
	monitorTimeout  = time.Second
	maxMonitorBytes = 1 << 20
)

// checkDurability reads /jsz of the servers that can be reached there.
func (j *Journal) checkDurability(ctx context.Context) {
	found := j.config.readSync(ctx)
	j.durability.mu.Lock()
	before, known := j.durability.sync, j.durability.known
	j.durability.sync, j.durability.known = found, true
	j.durability.mu.Unlock()
	if found == syncInterval && (before != found || !known) {
		j.logger.Warn("a NATS server does not sync each message: set sync_interval: always in its jetstream block", "survives", j.Survives())
	}
}

// readSync reads how the servers sync that can be asked: the worst counts.
func (c Config) readSync(ctx context.Context) (found syncKind) {
	for _, base := range c.monitors() {
		found = max(found, readServerSync(ctx, base))
	}
	return found
}

// readServerSync reads how a server syncs.
func readServerSync(ctx context.Context, base string) syncKind {
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/jsz?config=true", nil)
	if err != nil {
		return syncUnknown
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return syncUnknown
	}
	defer response.Body.Close()
	var answer struct {
		Config *struct {
			Always bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxMonitorBytes)).Decode(&answer); err != nil || answer.Config == nil {
		return syncUnknown
	}
	if answer.Config.Always {
		return syncAlways
	}
	return syncInterval
}

// Survives says what accepted packets survive, as far as it is known. It may be called
// concurrently.
func (j *Journal) Survives() string {
	j.durability.mu.Lock()
	sync := j.durability.sync
	j.durability.mu.Unlock()
	loss, all := "loss of a minority", "all"
	if j.config.Replicas == 1 {
		loss, all = "a crash of the NATS server", "it"
	}
	switch sync {
	case syncAlways:
		return loss + ", and a power failure of " + all
	case syncInterval:
		return loss + ", not a power failure of " + all
	default:
		return loss + "; a power failure of " + all + " only with sync_interval: always, which could not be checked"
	}
}
