package control

import "testing"

// Wait returns with the next revision.
func TestWait(t *testing.T) {
	r := start(t, "")
	before := r.Revision()
	next := make(chan int64)
	go func() { next <- r.Wait(t.Context(), before) }()
	r.mustSucceed(r.PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{Weight: pointer(0.3)}))
	if got := <-next; got != before+1 {
		t.Errorf("%d, want %d", got, before+1)
	}
}
