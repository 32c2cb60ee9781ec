package demo

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/emitter"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// protocolSender sends numbered messages by one protocol: each request until it is accepted.
type protocolSender struct {
	protocol protocol
	address  string
	pacer    emitter.Pacer // of requests
	sizes    *emitter.Sizes

	sent     atomic.Int64 // messages that were given a number
	accepted atomic.Int64 // messages
	requests atomic.Int64 // accepted
	refused  atomic.Int64 // requests, refused or without a response, each of which was sent again
}

const (
	// requestTimeout bounds a request; the distributor waits up to 5 s for capacity.
	requestTimeout = 10 * time.Second
	// refusedPause is the wait before a request is sent again.
	refusedPause = 200 * time.Millisecond
)

// run sends until producing ends, and the last request until sending does.
func (s *protocolSender) run(producing, sending context.Context) {
	var by request
	if s.protocol.connect != nil {
		by = s.protocol.connect(s.address)
	} else {
		by = newHTTPRequest(s.protocol, s.address)
	}
	defer by.close()
	start := time.Now()
	for n := int64(0); worker.Sleep(producing, s.pacer.Pace(time.Since(start), n)); n++ {
		messages := s.next()
		for !s.try(sending, by, messages) {
			if !worker.Sleep(sending, refusedPause) {
				return
			}
		}
	}
}

// next returns the messages of the next request.
func (s *protocolSender) next() (messages []numbered) {
	now := time.Now()
	for range s.sizes.Next() {
		// Times differ, so that no two records are equal.
		messages = append(messages, numbered{numberedText(s.protocol.input, s.sent.Add(1)), now.Add(time.Duration(len(messages)) * time.Microsecond)})
	}
	return messages
}

func (s *protocolSender) try(ctx context.Context, by request, messages []numbered) (accepted bool) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := by.send(ctx, messages); err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) {
			s.refused.Add(1)
		}
		return false
	}
	s.requests.Add(1)
	s.accepted.Add(int64(len(messages)))
	return true
}
