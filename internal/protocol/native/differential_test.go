package native

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// Each case has the outcome that it names, whether the bytes arrive whole or split at each
// boundary, on a new connection or behind another request, and whether an event loop or a goroutine
// serves the connection.
func TestStreams(t *testing.T) {
	cases := streamCases()
	const groups = 4
	for group := range groups {
		t.Run(fmt.Sprint(group), func(t *testing.T) {
			t.Parallel()
			ways := bothWays(t, standard())
			for i := group; i < len(cases); i += groups {
				for _, w := range ways {
					c := &caseRun{streamCase: cases[i], T: t, way: w}
					c.run()
				}
			}
		})
	}
}

// caseRun runs a case on one server.
type caseRun struct {
	streamCase
	*testing.T
	way    *way
	failed bool // further differences would say nothing new
}

func (c *caseRun) run() {
	c.want("whole", []string{c.bytes}, 0)
	boundaries := c.boundaries()
	c.want("all pieces apart", cutAt(c.bytes, boundaries...), c.interims)
	if middle := len(boundaries) / 2; c.brief && len(boundaries) > 0 {
		boundaries = boundaries[middle : middle+1]
	}
	for _, at := range boundaries {
		c.want(fmt.Sprintf("split at %d", at), cutAt(c.bytes, at), 0)
	}
	before := *c
	before.bytes, before.statuses = c.surrounding("before")+c.bytes, append([]int{202}, c.statuses...)
	before.packets = append([]string{"before"}, c.packets...)
	if !c.brief {
		before.want("behind another request", []string{before.bytes}, 0)
	}
	before.want("behind another request that was read", []string{c.surrounding("before"), c.bytes}, 0)
}

// boundaries returns offsets at which to split: within and behind each line end of a head and of
// text that looks like one, or at each byte.
func (c *caseRun) boundaries() []int {
	const mostLineEnds = 10
	var at []int
	for i := 1; i < len(c.bytes); i++ {
		lineEnd := c.bytes[i-1] == '\n' || c.bytes[i] == '\n' || c.bytes[i-1] == '\r'
		if c.everyByte || lineEnd && len(at) < 2*mostLineEnds {
			at = append(at, i)
		}
	}
	return at
}

// cutAt cuts a text at offsets in ascending order.
func cutAt(text string, places ...int) []string {
	var pieces []string
	from := 0
	for _, at := range places {
		pieces, from = append(pieces, text[from:at]), at
	}
	return append(pieces, text[from:])
}

// surrounding is a request before or behind the bytes.
func (c *caseRun) surrounding(id string, lines ...string) string {
	if c.authorization != "" {
		lines = append(lines, c.authorization)
	}
	return posting(id, lines...)
}

// want sends the case in pieces and checks the outcome. At least the given number of interim
// responses must arrive.
func (c *caseRun) want(how string, pieces []string, interims int) {
	c.Helper()
	if c.failed {
		return
	}
	if !c.cut {
		pieces = append(slices.Clip(pieces), c.surrounding("probe", "Connection: close"))
	}
	o, err := c.way.exchange(pieces, c.cut)
	if err == nil {
		err = c.check(o, interims)
	}
	if err != nil {
		c.failed = true
		c.Errorf("%s (%s), %s, %s: %v\n%.300q", c.name, c.source, c.way.name, how, err, c.bytes)
	}
}

func (c *caseRun) check(o outcome, interims int) error {
	packets := c.packets
	if !c.cut && !c.closed {
		if last := len(o.responses) - 1; last < 0 || o.responses[last].status != 202 || o.responses[last].connection != "close" {
			return fmt.Errorf("the request behind was not answered: %+v", o.responses)
		}
		o.responses = o.responses[:len(o.responses)-1]
		packets = append(slices.Clip(packets), "probe")
	}
	if o.interims < interims || o.interims > c.interims {
		return fmt.Errorf("%d interim responses, want %d to %d", o.interims, interims, c.interims)
	}
	if err := c.checkResponses(o.responses); err != nil {
		return err
	}
	return checkPackets(o.packets, packets)
}

func (c *caseRun) checkResponses(responses []seen) error {
	var statuses []int
	code := ""
	for i, a := range responses {
		statuses = append(statuses, a.status)
		if a.code != "" {
			code = a.code
		}
		connection := ""
		switch {
		case c.closed && i == len(responses)-1:
			connection = "close"
		case c.keepAlive && i == len(responses)-1:
			connection = "keep-alive"
		}
		if a.faults != "" || a.connection != connection {
			return fmt.Errorf("response %d has Connection %q, want %q; faults: %s", i, a.connection, connection, a.faults)
		}
	}
	if !slices.Equal(statuses, c.statuses) || code != c.code {
		return fmt.Errorf("responses %v %s, want %v %s", statuses, code, c.statuses, c.code)
	}
	if last := len(responses) - 1; last >= 0 && (responses[last].bodiless != c.bodiless || responses[last].allow != c.allow) {
		return fmt.Errorf("the last response has Allow %q, want %q; it has no body: %t", responses[last].allow, c.allow, responses[last].bodiless)
	}
	return nil
}

// checkPackets checks that the packets have these ids and are unchanged byte for byte.
func checkPackets(bodies, ids []string) error {
	var got []string
	for _, body := range bodies {
		var document struct {
			PacketID string `json:"packet_id"`
		}
		if err := json.Unmarshal([]byte(body), &document); err != nil {
			return err
		}
		if body != aPacket(document.PacketID, len(body)) {
			return fmt.Errorf("the packet %s was taken as %q", document.PacketID, body)
		}
		got = append(got, document.PacketID)
	}
	if !slices.Equal(got, ids) {
		return fmt.Errorf("packets %q were taken, want %q", got, ids)
	}
	return nil
}
