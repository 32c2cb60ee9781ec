// Package clickhouse translates packets into rows of ClickHouse, with the columns of the
// OpenTelemetry Collector's otel_logs table.
package clickhouse

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/http"
	"net/url"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
)

// columns are those that rows may have. An insert names them, since a member of a row without a
// column is skipped (input_format_skip_unknown_fields), and its data would be lost.
const columns = "(Timestamp, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, ServiceName, Body, ResourceSchemaUrl, " +
	"ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, LogAttributes)"

// Backend returns a ClickHouse server. Option: table, with the database before a dot.
func Backend(o *httpsink.Options) httpsink.Backend {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_."
	table := o.Matching("table", "otel_logs", allowed)
	query := url.Values{
		"query":             {"INSERT INTO " + table + " " + columns + " FORMAT JSONEachRow"},
		"async_insert":      {"0"},
		"wait_end_of_query": {"1"},
		// Times are in UTC whatever the time zone of the server.
		"date_time_input_format": {"best_effort"},
	}
	return httpsink.Backend{
		Path:        "/?" + query.Encode(),
		ContentType: "application/x-ndjson",
		Probe:       httpsink.Probe{Method: http.MethodGet, Path: "/ping"},
		NewCodec:    func() httpsink.Codec { return &codec{row: newRow(), hash: sha256.New()} },
	}
}

type codec struct {
	row  *row
	hash hash.Hash
	id   []byte
}

// Encode implements httpsink.Codec. The deduplication token is a hash of the ids.
func (c *codec) Encode(r *httpsink.Request, packets []*packet.Packet) {
	c.hash.Reset()
	for _, p := range packets {
		c.row.record.Reset(p)
		for c.row.record.Next() {
			r.Body = c.row.append(r.Body)
		}
		c.addID(c.row.record.EmitterID, p.Body)
		c.addID(c.row.record.PacketID, p.Body)
	}
	c.id = c.hash.Sum(c.id[:0])
	r.Query = append(r.Query, "insert_deduplication_token="...)
	r.Query = hex.AppendEncode(r.Query, c.id[:16])
}

// addID adds an id and a byte that none has.
func (c *codec) addID(id packet.Text, body []byte) {
	c.id = id.AppendDecoded(c.id[:0], body)
	c.id = append(c.id, 0xff) // no byte of UTF-8
	_, _ = c.hash.Write(c.id)
}

// Result implements httpsink.Codec. The code of an exception is more precise than the status.
func (c *codec) Result(r *httpsink.Response, _ []*packet.Packet) sink.Result {
	code, err := strconv.Atoi(r.Header.Get("X-ClickHouse-Exception-Code"))
	if err != nil {
		return r.Result()
	}
	switch code {
	case tooManyParts:
		return tooMany(r)
	case tooManySimultaneousQueries, memoryLimitExceeded:
		return r.Throttled()
	case timeoutExceeded, socketTimeout:
		return r.Failed()
	case unknownTable, unknownDatabase, noSuchColumn, illegalColumn, unknownIdentifier, syntaxError, readOnly, unknownUser,
		wrongPassword, requiredPassword, databaseAccessDenied, settingConstraintViolation, accessDenied, authenticationFailed:
		return r.Misconfigured()
	case cannotParseText, cannotParseQuotedString, cannotParseInput, cannotReadAllData, cannotParseDateTime, cannotParseNumber, incorrectData,
		decimalOverflow, violatedConstraint, unknownElementOfEnum:
		return r.Rejected(sink.InvalidPacket)
	}
	if r.Success() {
		return r.Failed()
	}
	return r.Result()
}

// tooMany returns the result of a code that two conditions have: the merges are behind, or the rows are
// of too many partitions, whenever they come. Half of the rows may be of fewer.
func tooMany(r *httpsink.Response) sink.Result {
	if bytes.Contains(r.Body, []byte("Too many partitions for single INSERT block")) {
		return r.Rejected(sink.InvalidPacket)
	}
	return r.Throttled()
}

// Codes of exceptions.
const (
	cannotParseText            = 6
	noSuchColumn               = 16
	cannotParseQuotedString    = 26
	cannotParseInput           = 27
	cannotReadAllData          = 33
	cannotParseDateTime        = 41
	illegalColumn              = 44
	unknownIdentifier          = 47
	unknownTable               = 60
	syntaxError                = 62
	cannotParseNumber          = 72
	unknownDatabase            = 81
	incorrectData              = 117
	timeoutExceeded            = 159
	readOnly                   = 164
	unknownUser                = 192
	wrongPassword              = 193
	requiredPassword           = 194
	tooManySimultaneousQueries = 202
	socketTimeout              = 209
	memoryLimitExceeded        = 241
	tooManyParts               = 252
	databaseAccessDenied       = 291
	decimalOverflow            = 407
	settingConstraintViolation = 452
	violatedConstraint         = 469
	accessDenied               = 497
	authenticationFailed       = 516
	unknownElementOfEnum       = 691
)
