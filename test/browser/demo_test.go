package browser

import (
	"bytes"
	"context"
	"log/slog"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/demo"
)

// output is the output of a program. It may be used concurrently.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// console waits for the address that the demo prints, and returns it.
func (o *output) console() string {
	if found := regexp.MustCompile(`console http://([^/\s]+)/`).FindStringSubmatch(o.String()); found != nil {
		return found[1]
	}
	return ""
}

// An analyzer of the demo is killed in the console, the split follows, and the analyzer is started
// again. With -update this makes the README's picture.
func TestDemo(t *testing.T) {
	parallel(t)
	ctx, stop := context.WithCancel(context.Background())
	c, out, done := demo.DefaultConfig(), &output{}, make(chan error)
	c.Console, c.Rate = true, 200
	go func() { done <- demo.Run(ctx, c, demo.Screen{Out: out}, slog.New(slog.DiscardHandler)) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for out.console() == "" {
		<-ticker.C
	}
	b := open(t, &harness{TB: t, addr: out.console()}, 1280, "light", "")
	b.shows("All is well")
	b.click(".analyzers tbody tr:nth-child(1)", "Change…")
	b.click(".menu[open]", "Kill (demo)")
	b.click("dialog", "Kill (demo)")
	b.until("!document.querySelector('dialog')")
	b.shows("analyzer-1 is out: its breaker is open (connection refused).")
	b.until("parseFloat(document.querySelector('.analyzers tbody tr:nth-child(2) .fixed').textContent) > 45") // of 30 before
	if *update {
		b.snapshots(20)
		b.picture("demo")
	}
	b.look(360, "dark")
	b.click(".analyzers tbody tr:nth-child(2)", "Change…")
	b.click(".menu[open]", "Weight…")
	b.fill("weight", "0.1")
	b.shows("The weights sum to 0.8, not to about 1; their proportions are used.")
	b.shows("No analyzer will be further off its share than")
	b.fits("a dry run, 360 px")
	b.until("[...document.querySelectorAll('dialog tbody th')].every(th => th.offsetHeight < 40)") // ids on one line
	b.click("dialog", "Cancel")
	b.look(1280, "light")
	b.click(".analyzers tbody tr:nth-child(1)", "Change…")
	b.click(".menu[open]", "Start (demo)")
	b.click("dialog", "Start (demo)")
	b.shows("All is well")
}
