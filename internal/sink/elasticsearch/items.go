package elasticsearch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
)

// item is the response for one document.
type item struct {
	Status int
	Error  struct{ Type, Reason string }
}

// succeeded reports whether a response has no errors. It does not decode the usual responses, whose
// "errors" comes before any other object.
func succeeded(body []byte) bool {
	body = bytes.TrimSpace(body)
	for _, member := range []string{`"errors":false`, `"errors" : false`} {
		before, _, found := bytes.Cut(body, []byte(member))
		if found && bytes.HasPrefix(before, []byte("{")) && !bytes.ContainsAny(before[1:], "{[") {
			return bytes.HasSuffix(body, []byte("}"))
		}
	}
	var response struct{ Errors *bool }
	return json.Unmarshal(body, &response) == nil && response.Errors != nil && !*response.Errors
}

// readItems returns the responses for all messages of the packets.
func readItems(body []byte, packets []*packet.Packet) ([]item, error) {
	var response struct{ Items []map[string]item }
	if err := json.Unmarshal(body, &response); err != nil {
		return nil, err
	}
	items := make([]item, 0, len(response.Items))
	for _, actions := range response.Items {
		if len(actions) != 1 {
			return nil, fmt.Errorf("an item has %d actions: it must have 1", len(actions))
		}
		for _, one := range actions {
			items = append(items, one)
		}
	}
	if want := packet.VolumeOf(packets).Messages; int64(len(items)) != want {
		return nil, fmt.Errorf("there are %d items for %d documents", len(items), want)
	}
	for _, one := range items {
		if one.Status < 200 || one.Status > 599 {
			return nil, errors.New("an item has no status")
		}
	}
	return items, nil
}

// outcome is what became of a packet by its items, in ascending precedence: a packet that
// has to be sent again anyway is judged by the next response, in which the documents that are
// stored are duplicates.
type outcome int

const (
	stored outcome = iota
	rejected
	misconfigured
	failed
	throttled
)

func (i item) outcome() outcome {
	switch {
	case i.Status < 300, i.Status == http.StatusConflict:
		return stored
	case i.Status == http.StatusTooManyRequests:
		return throttled
	case i.Status >= 500:
		return failed
	case i.Status == http.StatusUnauthorized, i.Status == http.StatusForbidden, i.Status == http.StatusNotFound:
		return misconfigured
	default:
		return rejected
	}
}

// resultOf returns the result of a request by its items.
func resultOf(r *httpsink.Response, items []item, packets []*packet.Packet) sink.Result {
	var counts [throttled + 1]int
	result := sink.Result{Outcome: sink.Delivered, Pause: r.Pause()}
	for i, p := range packets {
		own := items[:p.Messages]
		items = items[p.Messages:]
		worst := stored
		for _, one := range own {
			worst = max(worst, one.outcome())
		}
		counts[worst]++
		if worst == stored {
			continue
		}
		e := sink.Exception{Packet: i, Detail: describe(own), Failed: worst == failed || worst == misconfigured}
		if worst == rejected {
			e.Reason = sink.InvalidPacket
		}
		result.Exceptions = append(result.Exceptions, e)
	}
	return ofRequest(r, result, counts, len(packets))
}

// ofRequest returns the result, or that of the request as a whole if all its packets have the
// same outcome, which is evidence about the backend.
func ofRequest(r *httpsink.Response, result sink.Result, counts [throttled + 1]int, packets int) sink.Result {
	whole := sink.Result{Outcome: sink.Failed, Reason: sink.Status}
	switch packets {
	case counts[throttled]:
		whole = sink.Result{Outcome: sink.Throttled, Reason: sink.NotNow, Pause: result.Pause}
	case counts[misconfigured]:
		whole = r.Misconfigured()
	case counts[failed]:
	default:
		return result
	}
	whole.Detail = result.Exceptions[0].Detail
	return whole
}

// describe lists the items that failed.
func describe(items []item) string {
	const maxListed = 10
	var b strings.Builder
	listed := 0
	for i, one := range items {
		if one.outcome() == stored {
			continue
		}
		if listed++; listed > maxListed {
			continue
		}
		reason := one.Error.Reason
		fmt.Fprintf(&b, "message %d: %d %s %q; ", i, one.Status, one.Error.Type, reason[:min(len(reason), 200)])
	}
	if listed > maxListed {
		fmt.Fprintf(&b, "and %d more; ", listed-maxListed)
	}
	return fmt.Sprintf("%s%d of %d messages were not stored", b.String(), listed, len(items))
}
