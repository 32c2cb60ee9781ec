package monitoring_test

import (
	"bytes"
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
	"testing"
)

var pictures = flag.String("pictures", "", "folder that TestPictures writes pictures of the dashboard to")

const (
	pageFolder = "testdata/picture"
	// pictureWidth is that of a usual window, in pixels.
	pictureWidth = 1440
	// historySeconds is the time that a picture shows.
	historySeconds = 150
	// maxPictureBytes bounds a picture of the documentation.
	maxPictureBytes = 400_000
)

// state is a situation that the dashboard is drawn in.
type state struct {
	name     string
	settings environments
	// change is made after a third of what the picture shows, unless it is nil.
	change func(t *testing.T, s liveSystem)
	// rows are what fits into the picture, of the dashboard's rows of panels; 0 means all.
	rows int
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
	{name: "idle", rows: 3, settings: environments{emitter: append([]string{"DURATION=60s"}, usualEmitter...)}},
}

// TestPictures draws the dashboard in each state, with -pictures, from a real Prometheus.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("-pictures names no folder")
	}
	browser := tool(t, "chromium")
	build := exec.CommandContext(t.Context(), tool(t, "npm"), "run", "build")
	build.Dir = pageFolder
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s\nnpm install in %s installs what the page needs", build.Args, err, output, pageFolder)
	}
	binary, free := buildBinary(t), freeAddresses(t, len(states)*systemAddresses)
	for i, s := range states {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // each waits for scrapes most of the time
			system := startLiveSystem(t, "memory", binary, free[i*systemAddresses:][:systemAddresses], s.settings)
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

// awaitHistory waits until Prometheus has scraped the distributor for some seconds.
func (s liveSystem) awaitHistory(t *testing.T, seconds int) {
	t.Helper()
	s.awaitData(t, fmt.Sprintf(`count_over_time(up{job="distributor"}[5m]) >= %d`, seconds))
}

// drawn is what the page reports.
type drawn struct {
	Panels int
	Empty  []string
	Error  string
}

// drawState writes a picture of what the page draws, unless the page reports an error or a panel
// without data.
func drawState(t *testing.T, browser string, system liveSystem, s state) {
	reports := make(chan drawn, 16)
	page := httptest.NewServer(pageHandler(t, system, reports))
	defer page.Close()
	path := filepath.Join(t.TempDir(), "window.png")
	command := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=30000", "--screenshot="+path,
		fmt.Sprintf("--window-size=%d,%d", pictureWidth, readDashboard(t).height(s.rows)),
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
	folder := *pictures
	if !filepath.IsAbs(folder) { // from the repository's root
		folder = filepath.Join(repository, folder)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, s.name+".png"), compressed, 0o644); err != nil {
		t.Fatal(err)
	}
}

// pageHandler serves the page, what it loads, and the API of Prometheus.
func pageHandler(t *testing.T, system liveSystem, reports chan<- drawn) http.Handler {
	t.Helper()
	prometheus := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: system.prometheus.address})
	prometheus.Transport = system.prometheus.client.Transport
	mux := http.NewServeMux()
	mux.Handle("GET /api/v1/", prometheus)
	for path, file := range map[string]string{
		"/page.html":      pageFolder + "/page.html",
		"/page.js":        pageFolder + "/node_modules/.page/page.js",
		"/page.css":       pageFolder + "/node_modules/.page/page.css",
		"/dashboard.json": dashboardFile,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, filepath.FromSlash(file))
		})
	}
	// The components load their icons from where Grafana has them.
	icons := http.FileServer(http.Dir(filepath.Join(pageFolder, "node_modules/@grafana/ui/dist/public/img")))
	mux.Handle("GET /public/build/img/", http.StripPrefix("/public/build/img/", icons))
	mux.HandleFunc("POST /drawn", func(_ http.ResponseWriter, r *http.Request) {
		var report drawn
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&report); err != nil {
			report.Error = err.Error()
		}
		select {
		case reports <- report:
		default: // more reports say no more
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

// compress returns a picture with a palette of its most frequent colours, of which a page has few.
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
	var palette color.Palette
	for c := range counts {
		palette = append(palette, c)
	}
	slices.SortFunc(palette, func(a, b color.Color) int { return counts[b] - counts[a] })
	result := image.NewPaletted(area, palette[:min(len(palette), 256)])
	draw.Draw(result, area, full, area.Min, draw.Src)
	var buffer bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buffer, result); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}
