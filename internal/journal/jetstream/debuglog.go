package jetstream

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
)

// With LOG_LEVEL=debug the log explains duplicates: it has each envelope that is published or
// received again, with its packets, and each acknowledgement.

// packetNames are the names of an envelope's packets for the log, EMITTER_ID PACKET_ID. It is the
// encoded message, whose names are read only if they are logged.
type packetNames []byte

// LogValue implements slog.LogValuer.
func (message packetNames) LogValue() slog.Value {
	e, _ := parseEnvelope(message) // without records, if it is damaged
	names := make([]string, 0, len(e.records))
	for i := range e.records {
		if r := &e.records[i]; !r.damaged {
			names = append(names, string(r.info.EmitterID.Raw(r.body))+" "+string(r.info.PacketID.Raw(r.body)))
		}
	}
	return slog.AnyValue(names)
}

// logAcks logs acknowledgements that were sent.
func (j *Journal) logAcks(sent []ack) {
	if !j.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	for _, a := range sent {
		if a.of == nil || &a.data[0] != &ackDone[0] {
			continue
		}
		// $JS.ACK.STREAM.CONSUMER.DELIVERIES.SEQUENCE.…, with a domain and an account before STREAM or not
		if _, rest, found := strings.Cut(a.subject, a.of.stream+"."+durable+"."); found {
			if tokens := strings.Split(rest, "."); len(tokens) > 1 {
				sequence, _ := strconv.ParseUint(tokens[1], 10, 64)
				j.logger.Debug("an envelope is acknowledged", "stream", a.of.stream, "sequence", sequence)
			}
		}
	}
}
