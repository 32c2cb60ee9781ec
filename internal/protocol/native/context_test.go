package native

import (
	"context"
	"testing"
	"time"
)

// contextOf is for cleanups, which run when the test's own context is over.
func contextOf(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
