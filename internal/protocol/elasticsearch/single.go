package elasticsearch

import (
	"context"
	"net/http"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

// single answers a request with one document.
func (p *Protocol) single(r *server.Request, from receiver.Sender, d destination, to *http1.Response) {
	ctx, cancel := receiver.WithCapacityTimeout()
	defer cancel()
	one := action{operation: index, index: []byte(d.index), id: []byte(d.id)}
	if d.create {
		one.operation = create
	}
	id, why := p.acceptSingle(ctx, r, from, &one)
	if why != nil {
		refuseForNow(r, why, to)
		return
	}
	if len(one.id) == 0 {
		one.id = []byte(id)
	}
	text := append([]byte(`{"_index":`), record.AppendQuoted(nil, one.index)...)
	text = append(append(text, `,"_id":`...), record.AppendQuoted(nil, one.id)...)
	answer(to, http.StatusCreated, append(text, `,"_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1}`...))
}

// acceptSingle submits a document, and returns the id of its packet or why it is not accepted.
func (p *Protocol) acceptSingle(ctx context.Context, r *server.Request, from receiver.Sender, one *action) (id string, why *problem.Problem) {
	body, why := p.receiver.Read(ctx, r)
	if why != nil {
		return "", why
	}
	packets := p.receiver.NewPackets(ctx, body)
	t := p.translators.Get().(*translator)
	t.begin(packets, from.Client, time.Now())
	one.source = body.Body
	err := t.do(one)
	of, content := p.id(from, destination{index: string(one.index)}, t, body.Body, p.receiver.SequenceID())
	t.trim()
	p.translators.Put(t)
	p.receiver.Release(body)
	if err != nil {
		return "", p.receiver.RefuseUntranslated(packets, err)
	}
	return of.Text, p.receiver.AcceptContent(ctx, from, packets, of, content)
}
