package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"hash/fnv"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// kept are the members of responses that stay unchanged, since the page shows more with them.
var kept = map[string]bool{"role": true, "state": true, "boot": true, "time": true, "dispatch": true, "intake": true, "code": true}

// maliciously returns a text with markup, always the same for the same text.
func maliciously(text string) string {
	if text == "" {
		return ""
	}
	sum := fnv.New32()
	_, _ = sum.Write([]byte(text)) // never fails
	return hostile[sum.Sum32()%uint32(len(hostile))] + " " + text
}

// spoil adds markup to all texts of a response: to values, and to names that are ids.
func spoil(name string, value any) any {
	switch v := value.(type) {
	case string:
		if name == "admin" {
			return "javascript:globalThis.xss=1//" + v
		}
		return maliciously(v)
	case []any:
		for i := range v {
			v[i] = spoil(name, v[i])
		}
	case map[string]any:
		ids := name == "analyzers" || name == "analyzer_texts" || name == "settings"
		for _, member := range v {
			_, object := member.(map[string]any)
			ids = ids && object
		}
		for key, member := range maps.Clone(v) {
			if kept[key] {
				continue
			}
			delete(v, key)
			reason, refused := strings.CutPrefix(key, "refused_")
			switch {
			case ids:
				v[maliciously(key)] = spoil(key, member)
			case refused && strings.HasSuffix(reason, "_per_s"):
				if member == 0.0 {
					member = 1.5
				}
				v["refused_"+maliciously(strings.TrimSuffix(reason, "_per_s"))+"_per_s"] = spoil(key, member)
			default:
				v[key] = spoil(key, member)
			}
		}
	}
	return value
}

func spoilText(text []byte) []byte {
	var value any
	if json.Unmarshal(text, &value) != nil {
		return text
	}
	text, _ = json.Marshal(spoil("", value)) // it was JSON
	return text
}

// spoilStream copies and spoils events until the stream ends.
func spoilStream(to *io.PipeWriter, from io.ReadCloser) {
	defer func() { _ = from.Close() }()
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if data, found := bytes.CutPrefix(line, []byte("data: ")); found {
			line = append(append([]byte("data: "), spoilText(bytes.TrimSpace(data))...), '\n')
		}
		if _, failed := to.Write(line); failed != nil || err != nil {
			_ = to.CloseWithError(err) // never fails
			return
		}
	}
}

// spoiled returns the address of a server with the page of a harness, whose responses are hostile.
func spoiled(w *harness) string {
	target := &url.URL{Scheme: "http", Host: w.addr}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Accept-Encoding")
			r.Out.Header.Del("Origin")
		},
		ModifyResponse: func(r *http.Response) error {
			switch kind := r.Header.Get("Content-Type"); {
			case strings.HasPrefix(kind, "text/event-stream"):
				reader, writer := io.Pipe()
				go spoilStream(writer, r.Body)
				r.Body = reader
			case strings.Contains(kind, "json"):
				text, err := io.ReadAll(r.Body)
				if err != nil {
					return err
				}
				text = spoilText(text)
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
				r.Header.Set("Content-Length", strconv.Itoa(len(text)))
			}
			return nil
		},
	}
	server := httptest.NewServer(proxy)
	w.Cleanup(func() {
		server.CloseClientConnections() // a stream has no end
		server.Close()
	})
	return server.Listener.Addr().String()
}

// textsAreTexts checks that no text of a page is executed or rendered as markup.
func (b *tab) textsAreTexts(where string) {
	b.Helper()
	if value[bool](b, "'xss' in globalThis || !!document.querySelector('#console :is(img, script, iframe, style, [onerror], [onload])') || [...document.querySelectorAll('a')].some(a => !/^https?:/.test(new URL(a.href?.baseVal ?? a.href, location).protocol))") {
		b.Errorf("%s: a text is more than a text", where)
	}
}

// Every text in responses of the API is shown as text: ids and URLs of analyzers, reasons for their
// state, other distributors, settings, reasons of dead letters and refusals, events, dry runs,
// refusals of the API, packets of the tap.
func TestHostileResponses(t *testing.T) {
	parallel(t)
	o := &others{}
	w := startHarness(t, "", o)
	w.rejectAll(map[string]string{"letter-1": "malformed"})
	w.send("web-1", "letter-1", "refused for good")
	w.eventually("/v1/dead-letters", `"packet_id":"letter-1"`)
	o.announce(w)
	w.api("PATCH", "/v1/settings", `{"rate_limit":5000,"reason":"a reason"}`)
	w.api("PUT", "/v1/limits?emitter=web-1", `{"rate":900}`)
	w.api("PATCH", "/v1/analyzers/a3", `{"state":"drain"}`)
	w.emit("web-1", 40, "1-100")
	b := openTab(t, w, 1280, "light")
	b.url = "http://" + spoiled(w)
	b.navigate("")
	analyzer := "[...document.querySelectorAll('a.row')].find(a => a.textContent === " + quoted(maliciously("a1")) + ")"
	b.until(analyzer)
	overviewIsText(b)
	dialogsAreText(b)
	b.run(analyzer + ".click()")
	b.shows(maliciously(w.analyzers[0].URL()))
	b.textsAreTexts("analyzer")
	pagesAreText(b)
	addressesAreText(b)
}

// overviewIsText checks the overview, with all settings.
func overviewIsText(b *tab) {
	b.Helper()
	b.shows(maliciously("logs-3:8080"))
	b.shows(maliciously("1.0"))
	b.shows(maliciously("settings/rate_limit"))
	b.shows(maliciously("a reason"))
	b.run("[...document.querySelectorAll('button')].find(e => /^All \\d+/.test(e.textContent)).click()")
	b.shows(maliciously("log_level"))
	b.shows(maliciously("info"))
	b.textsAreTexts("overview")
}

// dialogsAreText checks the dry runs of the dialogs of the overview.
func dialogsAreText(b *tab) {
	b.Helper()
	b.click(".analyzers tbody tr:nth-child(1)", "Change…")
	b.click(".menu[open]", "Drain…")
	b.until("document.querySelector('dialog .tinted.bad, dialog .changes li')")
	b.textsAreTexts("dialog of an analyzer")
	b.click("dialog", "Cancel")
	b.until("!document.querySelector('dialog')")
	b.click(settingsPart, "Reload the file…")
	b.until("document.querySelector('dialog .preview :is(.tinted, p:not(.quiet))')")
	b.textsAreTexts("dialog of a reload")
	b.click("dialog", "Cancel")
	b.until("!document.querySelector('dialog')")
}

// pagesAreText checks the pages of dead letters, of the tap and of packets.
func pagesAreText(b *tab) {
	b.Helper()
	b.visit("#/dead-letters")
	b.shows(maliciously("letter-1"))
	b.textsAreTexts("dead letters")
	b.visit("#/tap/accepted")
	b.click(".page form", "Begin")
	b.shows(maliciously("web-1"))
	b.textsAreTexts("tap")
	b.visit("#/packet")
	b.click(".page", "Foresee")
	b.shows("to " + maliciously("a1"))
	b.textsAreTexts("packet")
}

// addressesAreText checks pages whose addresses hold markup.
func addressesAreText(b *tab) {
	b.Helper()
	for _, page := range []string{"analyzer", "emitter", "runbook", "tap", "tap/refused", hostile[0]} {
		for _, text := range []string{hostile[0], "%", "%3Csvg/onload=xss=1%3E"} {
			b.visit("#/" + page + "/" + text)
			b.snapshots(0)
			b.textsAreTexts(page)
		}
	}
}
