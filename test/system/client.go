package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

var client = &http.Client{Timeout: timeout}

// response is a response; status 0 means none.
type response struct {
	status  int
	header  http.Header
	body    string
	problem struct {
		Code string `json:"code"`
	}
}

func request(ctx context.Context, method, url, contentType, body string) response {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return response{body: err.Error()}
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(r)
	if err != nil {
		return response{body: err.Error()}
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	content, _ := io.ReadAll(resp.Body)
	a := response{status: resp.StatusCode, header: resp.Header, body: string(content)}
	_ = json.Unmarshal(content, &a.problem) // not every response is a problem
	return a
}

func status(ctx context.Context, url string) int {
	return request(ctx, http.MethodGet, url, "", "").status
}

func read[T any](ctx context.Context, url string) (value T, err error) {
	a := request(ctx, http.MethodGet, url, "", "")
	if a.status == 0 {
		return value, fmt.Errorf("%s: %s", url, a.body)
	}
	return value, json.Unmarshal([]byte(a.body), &value)
}

// totals is /metrics-json.
type totals struct {
	Packets     int64            `json:"total_packets"`
	Messages    int64            `json:"total_messages"`
	PacketsBy   map[string]int64 `json:"packets_by_analyzer"`
	MessagesBy  map[string]int64 `json:"messages_by_analyzer"`
	Delivered   int64            `json:"delivered_packets"`
	Unaccounted int64            `json:"unaccounted_messages"`
	Healthy     int              `json:"healthy_analyzers"`
}

// analyzerStats is an analyzer's /stats.
type analyzerStats struct {
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
}

type scrape struct {
	messages    map[string]float64 // routed, by analyzer
	bound       float64
	unaccounted float64
}

func scrapeMetrics(ctx context.Context, url string) (scrape, error) {
	a := request(ctx, http.MethodGet, url+"/metrics", "", "")
	if a.status != http.StatusOK {
		return scrape{}, fmt.Errorf("scrape: %d %s", a.status, a.body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(a.body))
	if err != nil {
		return scrape{}, err
	}
	s := scrape{messages: make(map[string]float64)}
	for _, m := range families["distributor_messages_by_analyzer_total"].GetMetric() {
		s.messages[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	for _, m := range families["distributor_share_deviation_limit_messages"].GetMetric() {
		s.bound = m.GetGauge().GetValue()
	}
	for _, m := range families["distributor_unaccounted_messages"].GetMetric() {
		s.unaccounted = m.GetGauge().GetValue()
	}
	return s, nil
}

// maxDeviation returns the largest deviation of an analyzer from its share, in
// messages.
func (s scrape) maxDeviation() float64 {
	var sum, worst float64
	for _, messages := range s.messages {
		sum += messages
	}
	for name, messages := range s.messages {
		worst = max(worst, messages-shares[name]*sum, shares[name]*sum-messages)
	}
	return worst
}
