package analyzer

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/logstreamer/logstreamer/internal/problem"
)

const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
)

// The limits of a client. Senders close idle connections sooner.
const (
	maxConnections = 1024
	maxHeaderBytes = 16 << 10
	readTimeout    = 30 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	lingerTime     = time.Second
	lingerBytes    = 16 << 20
)

func (a *Analyzer) newServer() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      a.newHandler(),
		ErrorHandler:                 a.handleReadError,
		ConnState:                    a.connections.onStateChange,
		Logger:                       slog.NewLogLogger(a.logger.Handler(), slog.LevelDebug),
		Concurrency:                  maxConnections,
		ReadBufferSize:               maxHeaderBytes,
		MaxRequestBodySize:           a.config.MaxBodyBytes,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		CloseOnShutdown:              true,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		SecureErrorLogMessage:        true,
	}
}

func (a *Analyzer) newHandler() fasthttp.RequestHandler {
	metrics := fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	return func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/ingest":
			if ctx.IsPost() {
				a.ingest(ctx)
				return
			}
			refuseMethod(ctx, "POST")
		case "/health":
			allowGetHead(ctx, a.health)
		case "/stats":
			allowGetHead(ctx, a.stats)
		case "/metrics":
			allowGetHead(ctx, metrics)
		default:
			writeProblem(ctx, problem.Problem{
				Code:   problem.NotFound,
				Detail: "an analyzer has /ingest, /health, /stats and /metrics",
			})
		}
	}
}

// allowGetHead rejects methods other than GET and HEAD.
func allowGetHead(ctx *fasthttp.RequestCtx, handler fasthttp.RequestHandler) {
	if ctx.IsGet() || ctx.IsHead() {
		handler(ctx)
		return
	}
	refuseMethod(ctx, "GET, HEAD")
}

func refuseMethod(ctx *fasthttp.RequestCtx, allowed string) {
	ctx.Response.Header.Set(fasthttp.HeaderAllow, allowed)
	writeProblem(ctx, problem.Problem{Code: problem.MethodNotAllowed, Detail: "allowed here: " + allowed})
}

// health answers probes and advertises NDJSON in Accept-Post.
func (a *Analyzer) health(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("Accept-Post", typeNDJSON)
	status, word := http.StatusOK, "healthy"
	if a.stopping.Load() {
		status, word = http.StatusServiceUnavailable, "stopping"
	}
	writeJSON(ctx, status, struct {
		Status   string `json:"status"`
		Analyzer string `json:"analyzer"`
	}{word, a.config.ID})
}

func (a *Analyzer) stats(ctx *fasthttp.RequestCtx) {
	writeJSON(ctx, http.StatusOK, a.Stats())
}

func writeJSON(ctx *fasthttp.RequestCtx, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		ctx.Error("the answer cannot be encoded", http.StatusInternalServerError)
		return
	}
	ctx.Response.SetBodyRaw(body)
	ctx.Response.SetStatusCode(status)
	ctx.Response.Header.SetContentType(typeJSON)
}

// handleReadError responds to a request that could not be read. Only a body
// known to be too large counts as a refused packet: the others may not have
// been packets.
func (a *Analyzer) handleReadError(ctx *fasthttp.RequestCtx, err error) {
	var timeout net.Error
	var header *fasthttp.ErrSmallBuffer
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		a.refuse(ctx, tooLarge(a.config.MaxBodyBytes))
		respondAndLinger(ctx)
	case errors.As(err, &header):
		writeProblem(ctx, problem.Problem{
			Code:   problem.TooLarge,
			Status: http.StatusRequestHeaderFieldsTooLarge,
			Detail: "the request's header is too large",
		})
	case errors.As(err, &timeout) && timeout.Timeout():
		writeProblem(ctx, problem.Problem{
			Code:   problem.SlowRequest,
			Detail: "the whole request must arrive within " + readTimeout.String(),
		})
	default:
		writeProblem(ctx, problem.Problem{Code: problem.Malformed, Detail: "the HTTP request cannot be read"})
	}
}

// respondAndLinger responds before the whole request is read, and then discards
// the rest for a limited time: closing a connection with unread bytes resets
// it, and the client may not see the response. The server closes the connection
// afterwards.
func respondAndLinger(ctx *fasthttp.RequestCtx) {
	conn, ok := ctx.Conn().(*net.TCPConn)
	if !ok {
		return
	}
	ctx.Response.Header.SetConnectionClose()
	// an error here means that the client has disconnected
	_, _ = ctx.Response.WriteTo(conn)
	_ = conn.CloseWrite()
	_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, conn, lingerBytes)
}
