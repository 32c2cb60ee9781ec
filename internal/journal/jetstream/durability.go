package jetstream

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// durability is the known sync mode of the servers.
type durability struct {
	mu    sync.Mutex // guards sync
	sync  syncKind
	known bool // the mode was logged
}

type syncKind int

// The modes, from unknown to the weakest.
const (
	syncUnknown syncKind = iota
	syncAlways
	syncInterval
)

const (
	monitorTimeout  = time.Second
	maxMonitorBytes = 1 << 20
)

// checkDurability reads /jsz of the reachable servers.
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

// readSync returns the weakest sync mode of the servers that answer.
func (c Config) readSync(ctx context.Context) (found syncKind) {
	for _, base := range c.monitors() {
		found = max(found, readServerSync(ctx, base))
	}
	return found
}

// readServerSync reads the sync mode of a server.
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
	var decoded struct {
		Config *struct {
			Always bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxMonitorBytes)).Decode(&decoded); err != nil || decoded.Config == nil {
		return syncUnknown
	}
	if decoded.Config.Always {
		return syncAlways
	}
	return syncInterval
}

// Survives returns the faults that accepted packets survive, as far as known. It may be called
// concurrently.
func (j *Journal) Survives() string {
	j.durability.mu.Lock()
	sync := j.durability.sync
	j.durability.mu.Unlock()
	replicas := j.config.Replicas
	j.mu.Lock()
	for _, p := range j.partitions {
		if p.publishes && p.ready {
			replicas = min(replicas, p.state.replicas)
		}
	}
	j.mu.Unlock()
	return survives(sync, replicas)
}

// survives returns the faults that packets of streams with that many replicas survive.
func survives(sync syncKind, replicas int) string {
	loss, all := "loss of a minority", "all"
	if replicas == 1 {
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
