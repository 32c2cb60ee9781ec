package monitoring_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/binary"
)

var pictures = flag.String("pictures", "", "directory that TestPictures writes pictures of the dashboard to")

const (
	pageDir = "testdata/picture"
	// pictureWidth is the width of a usual window, in pixels.
	pictureWidth = 1440
	// historySeconds is the period of time in a picture.
	historySeconds = 150
	// maxPictureBytes bounds a picture of the documentation.
	maxPictureBytes = 400_000
)

// state is a state of the system for a picture.
type state struct {
	name     string
	settings environments
	// change is called after a third of the period, unless it is nil.
	change func(t *testing.T, s liveSystem)
	// rows is the number of the dashboard's rows of panels in the picture; 0 means all.
	rows int
	// open are titles of collapsed rows: the picture shows only these, expanded.
	open []string
	// journal is memory unless it is set.
	journal string
	// load runs beside the emitter until the context ends, unless it is nil.
	load func(ctx context.Context, s liveSystem)
}

var usualEmitter = []string{"RATE=300", "CONCURRENCY=8", "PACKET_SIZE=1-100"}

var states = []state{
	{name: "usual", settings: environments{emitter: usualEmitter}},
	{name: "analyzer-out", settings: environments{emitter: usualEmitter}, rows: 6, change: func(t *testing.T, s liveSystem) {
		s.analyzers[2].kill()
		s.awaitData(t, `ALERTS{alertname="AnalyzerDown",alertstate="firing"}`)
	}},
	{name: "overloaded", rows: 6, settings: environments{
		analyzer:    []string{"PROCESSING_DELAY_MS=100"},
		distributor: []string{"MEMORY_LIMIT_BYTES=4MiB", "MAX_BODY_BYTES=1MiB"},
		emitter:     []string{"RATE=400", "CONCURRENCY=128", "PACKET_SIZE=1-100"},
	}},
	{name: "options", journal: "disk", open: []string{"Disk journal", "Protocols", "Number of analyzers", "Admin API"}, load: useOptions,
		settings: environments{emitter: usualEmitter, distributor: []string{"AUTOSCALE=command", "AUTOSCALE_COMMAND=/bin/true {desired}"}}},
	{name: "streams", journal: "jetstream", open: []string{"Streams of NATS", "Cluster"}, settings: environments{emitter: usualEmitter}},
	{name: "idle", rows: 3, settings: environments{emitter: append([]string{"DURATION=60s"}, usualEmitter...)}},
}

// TestPictures draws the dashboard in each state, with -pictures, from a real Prometheus.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("-pictures names no directory")
	}
	browser := tool(t, "chromium")
	build := exec.CommandContext(t.Context(), tool(t, "npm"), "run", "build")
	build.Dir = pageDir
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s\nnpm install in %s installs what the page needs", build.Args, err, output, pageDir)
	}
	program, free := binary.New(t), freeAddresses(t, len(states)*systemAddresses)
	for i, s := range states {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // each waits for scrapes most of the time
			system := startLiveSystem(t, cmp.Or(s.journal, "memory"), program, free[i*systemAddresses:][:systemAddresses], s.settings)
			if s.load != nil {
				var loading sync.WaitGroup
				ctx, stop := context.WithCancel(t.Context())
				defer loading.Wait()
				defer stop()
				loading.Go(func() { s.load(ctx, system) })
			}
			const third = historySeconds / 3 // within the minute that a wait takes at most
			system.awaitHistory(t, third)
			if s.change != nil {
				s.change(t, system)
			}
			system.awaitHistory(t, 2*third)
			system.awaitHistory(t, historySeconds)
			drawState(t, browser, system, s)
		})
	}
}

// useOptions sends records of other protocols, some of them malformed, and uses the admin API, at
// times without permission.
func useOptions(ctx context.Context, s liveSystem) {
	send := func(method, url, body string) {
		request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			return
		}
		request.Header.Set("Content-Type", "application/json")
		if strings.Contains(url, "denied") {
			request.Host = "example.com"
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		send("POST", "http://"+s.ingest+"/loki/api/v1/push", fmt.Sprintf(`{"streams":[{"stream":{"app":"web"},"values":[["%d","a line"],["%d","another"]]}]}`, time.Now().UnixNano(), time.Now().UnixNano()))
		send("POST", "http://"+s.ingest+"/services/collector", `{"event":"a line"}`)
		send("GET", "http://"+s.admin+"/v1/status", "")
		if i%10 == 0 {
			send("POST", "http://"+s.ingest+"/loki/api/v1/push", `{"streams":`)
			send("GET", "http://"+s.admin+"/v1/status?denied", "")
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// awaitHistory waits until Prometheus has scraped the distributor for some seconds.
func (s liveSystem) awaitHistory(t *testing.T, seconds int) {
	t.Helper()
	s.awaitData(t, fmt.Sprintf(`count_over_time(up{job="distributor"}[5m]) >= %d`, seconds))
}

// drawn is the report of the page.
type drawn struct {
	Panels int
	Empty  []string
	Error  string
}

// drawState writes a picture of the page, unless the page reports an error or a panel without data.
func drawState(t *testing.T, browser string, system liveSystem, s state) {
	reports := make(chan drawn, 16)
	text := readFile(t, dashboardFile)
	if len(s.open) > 0 {
		text = openRows(t, text, s.open)
	}
	var shown dashboard
	if err := json.Unmarshal(text, &shown); err != nil {
		t.Fatal(err)
	}
	page := httptest.NewServer(pageHandler(t, system, text, reports))
	defer page.Close()
	path := filepath.Join(t.TempDir(), "window.png")
	command := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=30000", "--screenshot="+path,
		fmt.Sprintf("--window-size=%d,%d", pictureWidth, shown.height(s.rows)),
		fmt.Sprintf("%s/page.html?from=now-%ds", page.URL, historySeconds))
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command.Args, err, output)
	}
	page.Close()
	close(reports)
	panels := 0
	for report := range reports {
		if report.Error != "" || len(report.Empty) > 0 {
			t.Errorf("the page reports %+v", report)
		}
		panels += report.Panels
	}
	compressed := compress(t, path)
	if len(compressed) > maxPictureBytes {
		t.Errorf("the picture has %d bytes: more than %d", len(compressed), maxPictureBytes)
	}
	if panels == 0 || t.Failed() {
		t.Fatalf("there is no picture, after reports of %d panels", panels)
	}
	dir := *pictures
	if !filepath.IsAbs(dir) { // from the repository's root
		dir = filepath.Join(repository, dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, s.name+".png"), compressed, 0o644); err != nil {
		t.Fatal(err)
	}
}

// openRows returns a dashboard that has only the collapsed rows with these titles, expanded.
func openRows(t *testing.T, text []byte, titles []string) []byte {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	var panels []any
	line := 0.0
	for _, one := range whole["panels"].([]any) {
		row := one.(map[string]any)
		if collapsed, _ := row["collapsed"].(bool); !collapsed || !slices.Contains(titles, row["title"].(string)) {
			continue
		}
		inside, from := row["panels"].([]any), row["gridPos"].(map[string]any)["y"].(float64)
		row["collapsed"], row["panels"] = false, []any{}
		below := line
		for _, p := range append([]any{row}, inside...) {
			area := p.(map[string]any)["gridPos"].(map[string]any)
			area["y"] = area["y"].(float64) - from + line
			below = max(below, area["y"].(float64)+area["h"].(float64))
			panels = append(panels, p)
		}
		line = below
	}
	whole["panels"] = panels
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// pageHandler serves the page, the dashboard, the files that the page loads, and the API of
// Prometheus.
func pageHandler(t *testing.T, system liveSystem, dashboard []byte, reports chan<- drawn) http.Handler {
	t.Helper()
	prometheus := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: system.prometheus.address})
	prometheus.Transport = system.prometheus.client.Transport
	mux := http.NewServeMux()
	mux.Handle("GET /api/v1/", prometheus)
	for path, file := range map[string]string{
		"/page.html": pageDir + "/page.html",
		"/page.js":   pageDir + "/node_modules/.page/page.js",
		"/page.css":  pageDir + "/node_modules/.page/page.css",
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, filepath.FromSlash(file))
		})
	}
	mux.HandleFunc("GET /dashboard.json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(dashboard) // the page reports an error
	})
	// The components load their icons from Grafana's paths.
	icons := http.FileServer(http.Dir(filepath.Join(pageDir, "node_modules/@grafana/ui/dist/public/img")))
	mux.Handle("GET /public/build/img/", http.StripPrefix("/public/build/img/", icons))
	mux.HandleFunc("POST /drawn", func(_ http.ResponseWriter, r *http.Request) {
		var report drawn
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&report); err != nil {
			report.Error = err.Error()
		}
		select {
		case reports <- report:
		default: // more reports say the same
		}
	})
	return mux
}

// height returns the pixels of the dashboard's first rows, or of all with 0. A collapsed row
// takes one line.
func (d dashboard) height(rows int) int {
	const pixelsOfLine, margin = 38, 16
	lines, hidden, seen := 0, 0, 0
	for _, p := range d.Panels {
		if p.Type == "row" {
			seen++
			if rows > 0 && seen > rows {
				break
			}
		}
		lines = p.GridPos.Y + p.GridPos.H - hidden
		for _, q := range p.Panels {
			hidden = max(hidden, q.GridPos.Y+q.GridPos.H-lines)
		}
	}
	return lines*pixelsOfLine + margin
}

const (
	// distinct is the number of the most frequent colours that a palette always has, such as
	// backgrounds.
	distinct = 64
	// minDistance is the minimum distance of any further colour from the others of the palette.
	// Without it the shades of grey at the edges of letters would leave no entry for the colours of
	// thin lines.
	minDistance = 12
)

// distance returns the maximum of the differences of red, green and blue.
func distance(a, b color.Color) int {
	p, q := color.RGBAModel.Convert(a).(color.RGBA), color.RGBAModel.Convert(b).(color.RGBA)
	return max(abs(int(p.R)-int(q.R)), abs(int(p.G)-int(q.G)), abs(int(p.B)-int(q.B)))
}

func abs(x int) int { return max(x, -x) }

// compress returns a picture with a palette of its most frequent colours; pages have few.
func compress(t *testing.T, path string) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(readFile(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[color.Color]int{}
	area := full.Bounds()
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			c := color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)
			c.R, c.G, c.B = c.R&^3, c.G&^3, c.B&^3
			counts[c]++
		}
	}
	var frequent color.Palette
	for c := range counts {
		frequent = append(frequent, c)
	}
	slices.SortFunc(frequent, func(a, b color.Color) int { return counts[b] - counts[a] })
	var palette color.Palette
	for _, c := range frequent[:min(len(frequent), 4096)] {
		if len(palette) < distinct || len(palette) < 256 && (distance(c, palette.Convert(c)) > minDistance) {
			palette = append(palette, c)
		}
	}
	result := image.NewPaletted(area, palette)
	draw.Draw(result, area, full, area.Min, draw.Src)
	var buffer bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buffer, result); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}
