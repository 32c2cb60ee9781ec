package browser

import (
	"fmt"
	"math"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A tab that is open for an hour needs no more memory than a tab that is open for some minutes.
func TestHeapIsFlat(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	w.emit("web-1", 50, "1-100")
	b := open(t, w, 1280, "light", "")
	b.shows("All is well")
	feed := func(seconds int) float64 {
		b.Helper()
		value[bool](b, fmt.Sprintf(`(async () => {
			const {receive, state} = (await import('/console/console.js')).modules['store.js'];
			for (let i = 0; i < %d; i++) {
				const s = structuredClone(state.snapshot);
				s.time += 1000;
				s.seq++;
				for (const name in s.values) s.values[name] = Math.random() * 1000 * (name !== 'unaccounted_messages');
				receive(s);
				if (i %% 150 === 0) await new Promise(requestAnimationFrame);
			}
			return true;
		})()`, seconds))
		least := math.Inf(1) // temporary memory, such as that of a read, is no leak
		for range 5 {
			value[bool](b, `new Promise((done) => setTimeout(() => requestAnimationFrame(() => done(true)), 100))`)
			_, err := chromedp.Call(b.ctx, heapprofiler.CollectGarbage, cdp.Empty{})
			b.must(err)
			usage, err := chromedp.Call(b.ctx, runtime.GetHeapUsage, cdp.Empty{})
			b.must(err)
			least = min(least, usage.UsedSize)
		}
		return least
	}
	before := feed(1000)
	if after := feed(3600); after > before+1<<20 {
		t.Errorf("the heap grew from %.0f to %.0f bytes", before, after)
	}
}
