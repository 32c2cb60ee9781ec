package adminapi

import "time"

// Change is the response to a change of the configuration.
type Change struct {
	Revision  int64        `json:"revision"`
	DryRun    bool         `json:"dry_run,omitempty"`
	Changed   []Changed    `json:"changed"`
	Projected []Projection `json:"projected"`
	// BoundMessages is the maximum deviation of an analyzer from its share after the change.
	BoundMessages float64  `json:"bound_messages"`
	Warnings      []string `json:"warnings"`
	// Shadowed lists the settings of the file that have no effect; nil except of a reload.
	Shadowed []string `json:"shadowed,omitzero"`
	// Operation is the id of the drain that was started.
	Operation string `json:"operation,omitempty"`
}

// Changed is a value of the configuration that a change replaces.
type Changed struct {
	Path string `json:"path"`
	Old  any    `json:"old"`
	New  any    `json:"new"`
}

// Projection is the share of an analyzer after a change.
type Projection struct {
	ID                string  `json:"id"`
	Share             float64 `json:"share"`
	MessagesPerSecond float64 `json:"messages_per_s"`
	// ObservedPace is the highest recent rate in messages per second, 0 if it is unknown. Load is
	// the projected rate divided by it.
	ObservedPace float64 `json:"observed_pace"`
	Load         float64 `json:"load"`
}

// Settings is the response of GET /v1/settings.
type Settings struct {
	Revision int64              `json:"revision"`
	Settings map[string]Setting `json:"settings"`
}

// Setting is the value of a setting and its source.
type Setting struct {
	Value      any       `json:"value"`
	Origin     string    `json:"origin"`
	Overridden bool      `json:"overridden"`
	Secret     bool      `json:"secret,omitempty"`
	Expires    time.Time `json:"expires,omitzero"`
}

// Limits is the response of GET /v1/limits.
type Limits struct {
	Revision   int64     `json:"revision"`
	Default    RateLimit `json:"default"`
	Limits     []Limit   `json:"limits"`
	*RateLimit           // of the emitter that was asked for, else nil
}

// RateLimit is a rate limit in messages per second, and its burst in messages. A rate of 0 is no
// limit.
type RateLimit struct {
	Rate  float64 `json:"rate"`
	Burst float64 `json:"burst"`
}

// Limit is the rate limit of one emitter.
type Limit struct {
	Emitter string `json:"emitter"`
	RateLimit
	Overridden bool      `json:"overridden"`
	Expires    time.Time `json:"expires,omitzero"`
}

// Overrides is the response of GET /v1/overrides.
type Overrides struct {
	Revision  int64      `json:"revision"`
	Overrides []Override `json:"overrides"`
}

// Override is a value that an operator set, and the value that it replaced.
type Override struct {
	Path   string    `json:"path"`
	Value  any       `json:"value"` // nil: the item was removed
	Base   any       `json:"base"`
	Actor  string    `json:"actor,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time"`
	// Expires is when the override ends. Beneath are the overrides that hold again then.
	Expires time.Time  `json:"expires,omitzero"`
	Beneath []Override `json:"beneath,omitempty"`
	// Idle is why the override has no effect.
	Idle string `json:"idle,omitempty"`
}
