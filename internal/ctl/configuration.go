package ctl

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// maxListBytes bounds a list of analyzers: what the server takes.
const maxListBytes = 1 << 20

func showSettings(ctx context.Context, c *call) error {
	var all adminapi.Settings
	if printed, err := c.read(ctx, adminclient.Path("settings"), nil, &all); printed || err != nil {
		return err
	}
	keys := c.args
	if len(keys) == 0 {
		keys = slices.Sorted(maps.Keys(all.Settings))
	}
	t := table{header: []string{"SETTING", "VALUE", "FROM", "EXPIRES"}}
	for _, key := range keys {
		one, ok := all.Settings[key]
		if !ok {
			return fmt.Errorf("there is no setting %q that can change at runtime; settings get lists them", key)
		}
		t.add(key, value(one.Value), one.Origin, clock(one.Expires))
	}
	c.out.table(t)
	return nil
}

func setSettings(ctx context.Context, c *call) error {
	body := make(map[string]any)
	for _, arg := range c.args {
		key, text, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return UsageError{fmt.Errorf("%q is not KEY=VALUE", arg)}
		}
		body[key] = parseValue(text)
	}
	return c.patchSettings(ctx, body)
}

// parseValue returns a number or a truth value for what JSON has as one, else the text.
func parseValue(text string) any {
	var v any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if !json.Valid([]byte(text)) || decoder.Decode(&v) != nil {
		return text
	}
	switch v.(type) {
	case json.Number, bool:
		return v
	default:
		return text
	}
}

func revertSettings(ctx context.Context, c *call) error {
	body := make(map[string]any)
	for _, key := range c.args {
		body[key] = nil
	}
	return c.patchSettings(ctx, body)
}

// patchSettings changes settings. The members ttl and reason of the request are the flags'.
func (c *call) patchSettings(ctx context.Context, body map[string]any) error {
	for _, reserved := range []string{"ttl", "reason"} {
		if _, ok := body[reserved]; ok {
			return UsageError{fmt.Errorf("%s is no setting; see -%s", reserved, reserved)}
		}
	}
	return c.change(ctx, http.MethodPatch, adminclient.Path("settings"), nil, body)
}

// replaceAnalyzers puts the whole list, in JSON, from a file or from standard input.
func replaceAnalyzers(ctx context.Context, c *call) error {
	if c.ifMatch == 0 && !c.dryRun {
		return UsageError{errors.New("replace needs -if-match with the revision that the list is made from; analyzers prints it")}
	}
	text, err := c.input(c.args[0])
	if err != nil {
		return err
	}
	var list json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	return c.change(ctx, http.MethodPut, adminclient.Path("analyzers"), nil, map[string]any{"analyzers": list})
}

func (c *call) input(path string) ([]byte, error) {
	source, name := c.stdin, "standard input"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // it is only read
		source, name = f, path
	}
	text, err := io.ReadAll(io.LimitReader(source, maxListBytes+1))
	if err == nil && len(text) > maxListBytes {
		err = fmt.Errorf("%s has more than %d bytes", name, maxListBytes)
	}
	return text, err
}

func limitPath(emitter string) (path string, query url.Values) {
	query = url.Values{}
	if emitter != "" {
		query.Set("emitter", emitter)
	}
	return adminclient.Path("limits"), query
}

func showLimits(ctx context.Context, c *call) error {
	var all adminapi.Limits
	emitter := ""
	if len(c.args) > 0 {
		emitter = c.args[0]
	}
	path, query := limitPath(emitter)
	if printed, err := c.read(ctx, path, query, &all); printed || err != nil {
		return err
	}
	t := table{header: []string{"EMITTER", ">MESSAGES/S", ">BURST", "EXPIRES"}}
	for _, one := range all.Limits {
		t.add(one.Emitter, rateText(one.Rate), burstText(one.Rate, one.Burst), clock(one.Expires))
	}
	t.add("(others)", rateText(all.Default.Rate), burstText(all.Default.Rate, all.Default.Burst), "-")
	c.out.table(t)
	return nil
}

func rateText(rate float64) string {
	if rate == 0 {
		return "no limit"
	}
	return strconv.FormatFloat(rate, 'f', -1, 64)
}

// burstText returns the burst that is used: without one of its own it equals the rate.
func burstText(rate, burst float64) string {
	if rate == 0 {
		return "-"
	}
	return number(cmp.Or(burst, rate))
}

func setLimit(ctx context.Context, c *call) error {
	rate, err := parseNumber("RATE", c.args[1])
	if err != nil {
		return err
	}
	body := map[string]any{"rate": rate}
	if len(c.args) > 2 {
		if body["burst"], err = parseNumber("BURST", c.args[2]); err != nil {
			return err
		}
	}
	path, query := limitPath(c.args[0])
	return c.change(ctx, http.MethodPut, path, query, body)
}

func clearLimit(ctx context.Context, c *call) error {
	path, query := limitPath(c.args[0])
	return c.change(ctx, http.MethodDelete, path, query, nil)
}

func showOverrides(ctx context.Context, c *call) error {
	var all adminapi.Overrides
	if printed, err := c.read(ctx, adminclient.Path("overrides"), nil, &all); printed || err != nil {
		return err
	}
	if len(all.Overrides) == 0 {
		c.out.line("Nothing differs from file, environment and flags.")
		return nil
	}
	t := table{header: []string{"OVERRIDE", "VALUE", "INSTEAD OF", "BY", "SINCE", "EXPIRES", "REASON"}}
	for _, one := range all.Overrides {
		t.add(one.Path, value(one.Value), value(one.Base), one.Actor, clock(one.Time), clock(one.Expires), dash(one.Reason))
	}
	c.out.table(t)
	return nil
}

func revert(ctx context.Context, c *call) error {
	switch {
	case c.all == (len(c.args) > 0):
		return UsageError{errors.New("revert needs either the path of an override or -all")}
	case c.all:
		return c.change(ctx, http.MethodDelete, adminclient.Path("overrides"), nil, nil)
	}
	path := adminclient.Path(append([]string{"overrides"}, strings.Split(c.args[0], "/")...)...)
	return c.change(ctx, http.MethodDelete, path, nil, nil)
}

// showDocument returns the run of a command that prints a response as it is, JSON indented.
func showDocument(path string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		response, err := c.client.Do(ctx, adminclient.Request{Method: http.MethodGet, Path: adminclient.Path(path), Accept: "*/*"})
		if err != nil {
			return err
		}
		c.out.json(response.Body)
		return nil
	}
}
