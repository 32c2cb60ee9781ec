package control

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"time"
)

// watchInterval is the time between two checks of the file.
const watchInterval = 2 * time.Second

// expiryRetry is the time after which an expiry that could not be applied is tried again.
const expiryRetry = 10 * time.Second

// Run reverts overrides that expire, applies the changes of other distributors, drives autoscaling,
// and reloads the file when its content changes if the configuration enables it. It returns when
// the context ends, after it has ended all drains, which the next process resumes.
func (c *Controller) Run(ctx context.Context) {
	defer c.drains.stop()
	c.drains.resume()
	defer c.scaling.stop()
	c.scaling.configure()
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	if !c.Config().Watch {
		ticker.Stop()
	}
	retry := time.NewTimer(maxTTL)
	if c.store.status().Shared {
		retry.Reset(0)
	}
	defer retry.Stop()
	expiry := time.NewTimer(c.untilExpiry())
	defer expiry.Stop()
	seen := c.fileHash()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.rescheduled:
			expiry.Reset(c.untilExpiry())
			c.scaling.configure()
		case <-c.scaling.ticker.C:
			c.scaling.drive(ctx)
		case <-c.store.changed():
			retry.Reset(c.synchronize(ctx))
		case <-retry.C:
			retry.Reset(c.synchronize(ctx))
		case <-expiry.C:
			expiry.Reset(c.expire(ctx, time.Now()))
		case <-ticker.C:
			if hash := c.fileHash(); hash != seen {
				seen = hash
				_, _ = c.Reload(ctx, Request{Actor: system, Reason: "the file has changed"}) // Reload reports the error
			}
		}
	}
}

func (c *Controller) untilExpiry() time.Duration {
	if at, ok := c.current.Load().overrides.nextExpiry(time.Time{}); ok {
		return max(0, time.Until(at))
	}
	return maxTTL
}

// expire reverts the overrides that have expired by now, and returns the time of the next check. It
// reverts them together, as they may depend on each other; if that is refused, it reverts each
// alone, so that an override that cannot be reverted does not delay the others.
func (c *Controller) expire(ctx context.Context, now time.Time) time.Duration {
	err := c.revertExpired(ctx, now, "")
	if err == nil {
		c.stuck = ""
		return c.untilExpiry()
	}
	_, expired := c.current.Load().overrides.expire(now)
	for _, one := range expired {
		_ = c.revertExpired(ctx, now, one.Path) // the error of reverting all together
	}
	if reason := err.Error(); c.stuck != reason && !isStopping(err) {
		c.stuck = reason
		c.deps.Logger.Error("an override that has expired cannot be reverted yet", "error", err, "retry", expiryRetry)
	}
	wait := expiryRetry
	if at, ok := c.current.Load().overrides.nextExpiry(now); ok {
		wait = min(wait, max(0, time.Until(at)))
	}
	return wait
}

// isStopping reports whether a change was refused because the distributor stops: the next start
// reverts what has expired by then.
func isStopping(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Code == Stopping
}

// revertExpired reverts the expired override with a path, or all expired overrides if the path is
// empty.
func (c *Controller) revertExpired(ctx context.Context, now time.Time, path string) error {
	_, err := c.change(ctx, Request{Actor: system, Reason: "ttl", Force: true}, "expired", func(r *revision) (overrides, error) {
		left, _ := r.overrides.revert(func(one Override) bool { return !one.expiry().After(now) && (path == "" || one.Path == path) })
		return left, nil
	})
	return err
}

// fileHash returns the hash of the file's content; the hash of an unreadable file is zero.
func (c *Controller) fileHash() (hash [sha256.Size]byte) {
	content, err := os.ReadFile(c.loader.File)
	if err != nil {
		return hash
	}
	return sha256.Sum256(content)
}
