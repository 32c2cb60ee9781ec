package emitter

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// template is a kind of generated message; each # in its text is replaced by a
// number below limit.
type template struct {
	// share is the relative frequency.
	share          int
	level, service string
	text           string
	limit          uint32
}

func templates() []template {
	return []template{
		{4, "DEBUG", "inventory", "cache hit for item # in # us", 5000},
		{6, "DEBUG", "search", "query plan # reused", 400},
		{22, "INFO", "gateway", "GET /api/orders/# answered 200 in # ms", 9000},
		{14, "INFO", "checkout", "order # placed, # items", 90000},
		{12, "INFO", "auth", "session # opened for user #", 70000},
		{10, "INFO", "payment", "payment # captured", 80000},
		{10, "INFO", "search", "# results for query # in the catalogue", 3000},
		{6, "INFO", "inventory", "stock of item # is now #", 4000},
		{7, "WARN", "gateway", "upstream answered slowly: # ms for request #", 9000},
		{4, "WARN", "inventory", "stock of item # is low: # left", 500},
		{3, "ERROR", "payment", "payment # was declined by the bank, code #", 600},
		{2, "ERROR", "checkout", "order # could not be saved: deadline exceeded after # ms", 5000},
	}
}

// generator is a source of synthetic messages that resemble a shop's logs.
type generator struct {
	envelope *envelope
	sizes    *Sizes
	random   *rand.Rand
	// draw holds each index of kinds as often as its template's share.
	draw  []uint8
	kinds []kind
}

// kind is a template as encoded JSON; the numbers are inserted between the
// parts.
type kind struct {
	parts [][]byte
	limit uint32
}

func newGenerator(envelope *envelope, sizes *Sizes, seed uint64) *generator {
	g := &generator{envelope: envelope, sizes: sizes, random: rand.New(rand.NewPCG(seed, 1))}
	for i, t := range templates() {
		g.kinds = append(g.kinds, t.kind())
		for range t.share {
			g.draw = append(g.draw, uint8(i))
		}
	}
	return g
}

func (t template) kind() kind {
	text := appendString([]byte(`,"level":"`+t.level+`","message":`), t.text)
	text = append(text, `,"metadata":{"service":"`+t.service+`"}}`...)
	k := kind{limit: t.limit}
	for part := range strings.SplitSeq(string(text), "#") {
		k.parts = append(k.parts, []byte(part))
	}
	return k
}

func (g *generator) next(ctx context.Context, p *outgoing) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	g.envelope.open(p)
	for range g.sizes.Next() {
		g.envelope.next(p)
		p.body = append(p.body, `{"timestamp":`...)
		p.body = strconv.AppendInt(p.body, now, 10)
		p.body = g.appendRest(p.body)
	}
	g.envelope.close(p)
	return nil
}

func (g *generator) appendRest(dst []byte) []byte {
	k := g.kinds[g.draw[g.random.Uint32N(uint32(len(g.draw)))]]
	for i, part := range k.parts {
		if i > 0 {
			dst = strconv.AppendUint(dst, uint64(g.random.Uint32N(k.limit)), 10)
		}
		dst = append(dst, part...)
	}
	return dst
}

func (g *generator) close() error { return nil }
