package control

import (
	"context"
	"crypto/sha256"
	"os"
	"time"
)

// watchInterval is how often the file is looked at.
const watchInterval = 2 * time.Second

// expiryRetry is after how long an expiry is tried again that could not be applied.
const expiryRetry = 10 * time.Second

// Run reverts overrides that expire, and reloads the file when its content changes if the
// configuration asks for it. It returns when the context ends, and has ended all drains.
func (c *Controller) Run(ctx context.Context) {
	defer c.drains.stop()
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	if !c.Config().Watch {
		ticker.Stop()
	}
	expiry := time.NewTimer(c.untilExpiry())
	defer expiry.Stop()
	seen := c.fileHash()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.rescheduled:
			expiry.Reset(c.untilExpiry())
		case <-expiry.C:
			expiry.Reset(c.expire(ctx))
		case <-ticker.C:
			if hash := c.fileHash(); hash != seen {
				seen = hash
				_, _ = c.Reload(ctx, Request{Actor: system, Reason: "the file has changed"}) // reported there
			}
		}
	}
}

func (c *Controller) untilExpiry() time.Duration {
	if at, ok := c.current.Load().overrides.nextExpiry(); ok {
		return max(0, time.Until(at))
	}
	return maxTTL
}

// expire reverts the overrides that have expired, and returns when to look again.
func (c *Controller) expire(ctx context.Context) time.Duration {
	_, err := c.change(ctx, Request{Actor: system, Reason: "ttl"}, "expired", func(r *revision) (overrides, error) {
		left, _ := r.overrides.expire(time.Now())
		return left, nil
	})
	if err != nil {
		c.deps.Logger.Error("an override that has expired cannot be reverted yet", "error", err)
		return expiryRetry
	}
	return c.untilExpiry()
}

// fileHash returns the hash of the file's content; one that cannot be read has the zero hash.
func (c *Controller) fileHash() (hash [sha256.Size]byte) {
	content, err := os.ReadFile(c.loader.File)
	if err != nil {
		return hash
	}
	return sha256.Sum256(content)
}
