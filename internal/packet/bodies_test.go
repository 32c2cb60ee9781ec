package packet

import (
	"slices"
	"strings"
)

const plainMessage = `{"timestamp":1640995200000,"level":"INFO","message":"hello","metadata":{"key":"value"}}`

const plainPacket = `{"emitter_id":"e-1","packet_id":"p-1","messages":[` + plainMessage + `]}`

// packetWith returns a packet with these messages.
func packetWith(messages string) string {
	return `{"emitter_id":"e-1","packet_id":"p-1","messages":[` + messages + `]}`
}

// extended returns a packet with an additional first member.
func extended(member string) string { return `{` + member + `,` + plainPacket[1:] }

// extendedMessage returns a packet whose message has an additional first member.
func extendedMessage(member string) string {
	return packetWith(`{` + member + `,` + plainMessage[1:])
}

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

// acceptedBodies are valid bodies.
func acceptedBodies() map[string]string {
	return map[string]string{
		"plain":                             plainPacket,
		"spaces everywhere":                 strings.NewReplacer(`:`, " :\t", `,`, " ,\r\n", `{`, `{ `, `}`, ` }`, `[`, `[ `, `]`, ` ]`).Replace(plainPacket),
		"a newline around":                  "\n" + plainPacket + "\n",
		"white space around":                " \t\r\n" + plainPacket + " \t\r\n",
		"another order":                     `{"messages":[{"metadata":{},"message":"m","level":"l","timestamp":1}],"packet_id":"p","emitter_id":"e"}`,
		"no metadata":                       packetWith(`{"timestamp":1,"level":"INFO","message":"m"}`),
		"empty metadata":                    packetWith(`{"timestamp":1,"level":"INFO","message":"m","metadata":{}}`),
		"metadata key twice":                packetWith(`{"timestamp":1,"level":"INFO","message":"m","metadata":{"a":"","a":""}}`),
		"two messages":                      packetWith(plainMessage + "," + plainMessage),
		"escaped names":                     `{"emitter\u005fid":"e","packet\u005Fid":"p","\u006dessages":[{"t\u0069mestamp":1,"leve\u006c":"l","message":"m"}]}`,
		"all letters escaped":               strings.Replace(plainPacket, "emitter_id", `\u0065\u006d\u0069\u0074\u0074\u0065\u0072\u005f\u0069\u0064`, 1),
		"unknown names":                     extended(`"a":1,"a":[{}],"timestamp":null,"Packet_id":false,"":{"x":[-0.5e+3]}`),
		"unknown names in a message":        extendedMessage(`"emitter_id":[1,2.5,-3e7,true,false,null,"x"],"Level":{},"packet_id":""`),
		"names of another object":           extended(`"level":1,"level":2,"timestamp":3,"timestamp":4`),
		"packet's names twice in a message": extendedMessage(`"packet_id":1,"packet_id":2,"messages":3,"messages":4`),
		"prefix of a known name":            extended(`"packet_i":1,"packet_idd":2,"packet_id\u0000":3`),
		"largest timestamp":                 packetWith(`{"timestamp":9223372036854775807,"level":"INFO","message":"m"}`),
		"smallest timestamp":                packetWith(`{"timestamp":1,"level":"INFO","message":"m"}`),
		"null metadata":                     packetWith(`{"timestamp":1,"level":"INFO","message":"m","metadata":null}`),
		"null metadata in front":            packetWith(`{"metadata" : null ,"timestamp":1,"level":"INFO","message":"m"}`),
		"nulls in metadata":                 packetWith(`{"timestamp":1,"level":"INFO","metadata":{"a":null},"message":"m"},{"timestamp":1,"level":"INFO","message":"m","metadata":{"a":"b","c": null,"d":"e","f":null }}`),
		"lone surrogates elsewhere":         extended(`"\ud800":"\udc00"`)[:len(extended(`"\ud800":"\udc00"`))-2] + `,{"timestamp":1,"level":"\ud800","message":"\udc00\ud800x","x":"\udfff","metadata":{"\udbff":"\ud83d"}}]}`,
		"pairs of surrogates in ids":        `{"emitter_id":"\ud83d\ude00","packet_id":"a\uDBFF\uDFFF\uD800\uDC00\ufffd\\ud800","messages":[` + plainMessage + `]}`,
		"NUL escaped":                       `{"emitter_id":"\u0000","packet_id":"p","messages":[` + plainMessage + `]}`,
		"every escape":                      `{"emitter_id":"\"\\\/\b\f\n\r\t\u20aC","packet_id":"p","messages":[` + plainMessage + `]}`,
		"characters of 1 to 4 bytes":        `{"emitter_id":"aé€😀\u007f` + "\x7f" + `","packet_id":"日本語のパケット","messages":[` + plainMessage + `]}`,
		"longest id":                        `{"emitter_id":"` + strings.Repeat("é", MaxIDBytes/2) + `","packet_id":"` + strings.Repeat(`\u0041`, MaxIDBytes) + `","messages":[` + plainMessage + `]}`,
		"deepest in the packet":             extended(`"x":` + nested(MaxDepth-1)),
		"deepest in a message":              extendedMessage(`"x":` + nested(MaxDepth-3)),
		"unknown level":                     packetWith(`{"timestamp":1,"level":"whatever","message":"m"}`),
		"escaped level":                     packetWith(`{"timestamp":1,"level":"\u0045RROR","message":"m"}`),
		"long level":                        packetWith(`{"timestamp":1,"level":"` + strings.Repeat(`\u0045`, 1000) + `","message":"m"}`),
	}
}

// refusalRow is an invalid body. The mark ▸, which is removed before the check, is at
// the expected offset.
type refusalRow struct {
	name, body, code, path string
}

const mark = "▸"

func refusalRows() []refusalRow {
	return slices.Concat(
		syntaxRows(), stringRows(), literalRows(),
		packetRows(), surrogateRows(), structureRows(),
		messageRows(), metadataRows(), sizeRows(),
	)
}

// withMessageMember returns a packet whose second message has the member.
func withMessageMember(member string) string {
	return packetWith(plainMessage + `,{"level":"INFO","message":"m",` + member + `}`)
}

// withMetadata returns a packet whose message has the metadata.
func withMetadata(value string) string {
	return packetWith(`{"timestamp":1,"level":"INFO","message":"m","metadata":` + value + `}`)
}

// withID returns a packet whose packet_id is the JSON value.
func withID(value string) string {
	return `{"emitter_id":"e","packet_id":` + value + `,"messages":[` + plainMessage + `]}`
}

// syntaxRows has bodies whose punctuation is not JSON.
func syntaxRows() []refusalRow {
	return []refusalRow{
		{"empty body", `▸`, CodeMalformed, ""},
		{"only white space", " \n▸", CodeMalformed, ""},
		{"text", `▸hello`, CodeMalformed, ""},
		{"byte order mark", "▸\uFEFF" + plainPacket, CodeMalformed, ""},
		{"NUL in front", "▸\x00" + plainPacket, CodeMalformed, ""},
		{"NUL behind", plainPacket + "▸\x00", CodeMalformed, ""},
		{"trailing text", plainPacket + ` ▸x`, CodeMalformed, ""},
		{"two packets", plainPacket + "\n▸" + plainPacket, CodeMalformed, ""},
		{"trailing comma in the packet", plainPacket[:len(plainPacket)-1] + `,▸}`, CodeMalformed, ""},
		{"trailing comma in messages", packetWith(plainMessage + `,▸`), CodeMalformed, "messages[1]"},
		{"trailing comma in a message", packetWith(plainMessage[:len(plainMessage)-1] + `,▸}`), CodeMalformed, "messages[0]"},
		{"trailing comma in metadata", withMetadata(`{"a":"b",▸}`), CodeMalformed, "messages[0].metadata"},
		{"no comma", packetWith(plainMessage + `▸` + plainMessage), CodeMalformed, "messages"},
		{"no colon", extended(`"x"▸1`), CodeMalformed, ""},
		{"name without quotes", `{▸emitter_id:"e"}`, CodeMalformed, ""},
		{"wrong closing bracket", extended(`"x":[1▸}`), CodeMalformed, "x"},
	}
}

// stringRows has bodies with a string that is not JSON.
func stringRows() []refusalRow {
	return []refusalRow{
		{"raw newline in a string", withMessageMember("\"timestamp\":1,\"x\":\"a▸\nb\""), CodeMalformed, "messages[1].x"},
		{"raw control character in an id", withID("\"a▸\x1fb\""), CodeMalformed, "packet_id"},
		{"unknown escape", withID(`"a▸\x41"`), CodeMalformed, "packet_id"},
		{"short hexadecimal escape", withID(`"a▸\u004"`), CodeMalformed, "packet_id"},
		{"escape with sign", withID(`"a▸\u+041"`), CodeMalformed, "packet_id"},
		{"escape at the end", `{"emitter_id":"▸\`, CodeMalformed, "emitter_id"},
		{"invalid UTF-8 in an id", withID("\"é▸\xff\""), CodeMalformed, "packet_id"},
		{"overlong UTF-8", withID("\"▸\xc0\xaf\""), CodeMalformed, "packet_id"},
		{"surrogate in UTF-8", withID("\"▸\xed\xa0\x80\""), CodeMalformed, "packet_id"},
		{"cut UTF-8", withID("\"aaaaaaaaaaaa▸\xe2\x82\""), CodeMalformed, "packet_id"},
		{"invalid UTF-8 in a name", extended("\"▸\xff\":1"), CodeMalformed, ""},
		{"invalid UTF-8 in metadata", withMetadata("{\"k\":\"▸\x80\"}"), CodeMalformed, "messages[0].metadata.k"},
	}
}

// literalRows has bodies with a number or a literal that is not JSON.
func literalRows() []refusalRow {
	return []refusalRow{
		{"leading zero", withMessageMember(`"timestamp":▸01`), CodeMalformed, "messages[1].timestamp"},
		{"leading zero and minus", extended(`"x":-▸00.5`), CodeMalformed, "x"},
		{"plus sign", withMessageMember(`"timestamp":▸+1`), CodeMalformed, "messages[1].timestamp"},
		{"minus alone", withMessageMember(`"timestamp":-▸`), CodeMalformed, "messages[1].timestamp"},
		{"no digit behind the point", withMessageMember(`"timestamp":1.▸`), CodeMalformed, "messages[1].timestamp"},
		{"no digit in the exponent", withMessageMember(`"timestamp":1e+▸`), CodeMalformed, "messages[1].timestamp"},
		{"letters behind a number", withMessageMember(`"timestamp":1▸x`), CodeMalformed, "messages[1]"},
		{"misspelled literal", extended(`"x":▸nul`), CodeMalformed, "x"},
		{"NaN", extended(`"x":▸NaN`), CodeMalformed, "x"},
		{"broken JSON of the wrong type", withID(`[1,▸]`), CodeMalformed, "packet_id"},
		{"broken JSON in an unknown member", extended(`"x":{"y":[1▸:2]}`), CodeMalformed, "x"},
	}
}

// packetRows has JSON whose members are not those of a packet.
func packetRows() []refusalRow {
	return []refusalRow{
		{"array", `▸[]`, CodeInvalid, ""},
		{"null", `▸null`, CodeInvalid, ""},
		{"number", ` ▸12`, CodeInvalid, ""},
		{"empty object", `{▸}`, CodeInvalid, "emitter_id"},
		{"no emitter_id", `{"packet_id":"p","messages":[` + plainMessage + `]▸}`, CodeInvalid, "emitter_id"},
		{"no packet_id", `{"emitter_id":"e","messages":[` + plainMessage + `]▸}`, CodeInvalid, "packet_id"},
		{"no messages", `{"emitter_id":"e","packet_id":"p"▸}`, CodeInvalid, "messages"},
		{"another case", `{"emitter_id":"e","packet_id":"p","Messages":[` + plainMessage + `]▸}`, CodeInvalid, "messages"},
		{"emitter_id is a number", `{"emitter_id":▸7}`, CodeInvalid, "emitter_id"},
		{"packet_id is null", withID(`▸null`), CodeInvalid, "packet_id"},
		{"packet_id is empty", withID(`▸""`), CodeInvalid, "packet_id"},
		{"packet_id is too long", withID(`▸"` + strings.Repeat("x", MaxIDBytes+1) + `"`), CodeInvalid, "packet_id"},
		{"packet_id is too long, escaped", withID(`▸"` + strings.Repeat(`\u00e9`, MaxIDBytes/2) + `x"`), CodeInvalid, "packet_id"},
		{"emitter_id twice", `{"emitter_id":"e",▸"emitter_id":"e"}`, CodeInvalid, "emitter_id"},
		{"packet_id twice, escaped", `{"packet_id":"e",▸"packet\u005fid":"e"}`, CodeInvalid, "packet_id"},
		{"messages twice", plainPacket[:len(plainPacket)-1] + `,▸"messages":[` + plainMessage + `]}`, CodeInvalid, "messages"},
	}
}

// surrogateRows has packets with an id that is no Unicode text.
func surrogateRows() []refusalRow {
	return []refusalRow{
		{"lone high surrogate in an id", withID(`"a▸\ud800"`), CodeInvalid, "packet_id"},
		{"lone low surrogate in an id", withID(`"▸\uDFFFb"`), CodeInvalid, "packet_id"},
		{"surrogates the wrong way round in an id", withID(`"▸\ude00\ud83d"`), CodeInvalid, "packet_id"},
		{"two high surrogates in an id", withID(`"\u0041▸\ud83d\ud83d\ude00"`), CodeInvalid, "packet_id"},
		{"high surrogate before another escape in an id", withID(`"▸\ud83d\u0041"`), CodeInvalid, "packet_id"},
		{"high surrogate before a backslash in an id", withID(`"▸\ud83d\\ude00"`), CodeInvalid, "packet_id"},
		{"lone surrogate in the emitter's id", `{"emitter_id":"▸\udbff","packet_id":"p","messages":[` + plainMessage + `]}`, CodeInvalid, "emitter_id"},
	}
}

// structureRows has packets with no messages, and packets that are nested too deeply.
func structureRows() []refusalRow {
	return []refusalRow{
		{"messages is null", `{"messages":▸null}`, CodeInvalid, "messages"},
		{"messages is an object", `{"messages":▸{"0":1}}`, CodeInvalid, "messages"},
		{"messages is empty", `{"messages":[ ▸]}`, CodeInvalid, "messages"},
		{"too deep in the packet", extended(`"x":` + strings.Repeat("[", MaxDepth-1) + `▸[]` + strings.Repeat("]", MaxDepth-1)), CodeInvalid, "x"},
		{"too deep in a message", extendedMessage(`"x":` + strings.Repeat(`{"a":`, MaxDepth-3) + `▸{}` + strings.Repeat("}", MaxDepth-3)), CodeInvalid, "messages[0].x"},
		{"too deep instead of an id", withID(strings.Repeat("[", MaxDepth-1) + `▸` + strings.Repeat("[", 100000)), CodeInvalid, "packet_id"},
		{"too deep instead of a packet", strings.Repeat("[", MaxDepth) + `▸` + strings.Repeat("[", 100000), CodeInvalid, ""},
		{"too deep in metadata", withMetadata(`{"k":` + strings.Repeat("[", MaxDepth-4) + `▸[` + strings.Repeat("]", MaxDepth-3) + `}`), CodeInvalid, "messages[0].metadata.k"},
	}
}

// messageRows has packets with an invalid message.
func messageRows() []refusalRow {
	return []refusalRow{
		{"message is a string", packetWith(plainMessage + `,▸"hello"`), CodeInvalid, "messages[1]"},
		{"message is an array", packetWith(`▸[` + plainMessage + `]`), CodeInvalid, "messages[0]"},
		{"message is empty", packetWith(`{▸}`), CodeInvalid, "messages[0].timestamp"},
		{"no timestamp", packetWith(`{"level":"INFO","message":"m"▸}`), CodeInvalid, "messages[0].timestamp"},
		{"no level", packetWith(`{"timestamp":1,"message":"m"▸}`), CodeInvalid, "messages[0].level"},
		{"no message", packetWith(`{"timestamp":1,"level":"INFO"▸}`), CodeInvalid, "messages[0].message"},
		{"level in another case", packetWith(`{"timestamp":1,"LEVEL":"INFO","message":"m"▸}`), CodeInvalid, "messages[0].level"},
		{"timestamp is 0", withMessageMember(`"timestamp":▸0`), CodeInvalid, "messages[1].timestamp"},
		{"timestamp is -0", withMessageMember(`"timestamp":▸-0`), CodeInvalid, "messages[1].timestamp"},
		{"timestamp is -5", withMessageMember(`"timestamp":▸-5`), CodeInvalid, "messages[1].timestamp"},
		{"timestamp with fraction", withMessageMember(`"timestamp":▸1.0`), CodeInvalid, "messages[1].timestamp"},
		{"timestamp with exponent", withMessageMember(`"timestamp":▸1e3`), CodeInvalid, "messages[1].timestamp"},
		{"timestamp with capital exponent", withMessageMember(`"timestamp":▸1E+3`), CodeInvalid, "messages[1].timestamp"},
		{"timestamp above 63 bits", withMessageMember(`"timestamp":▸9223372036854775808`), CodeInvalid, "messages[1].timestamp"},
		{"timestamp of 20 digits", withMessageMember(`"timestamp":▸10000000000000000000`), CodeInvalid, "messages[1].timestamp"},
		{"timestamp is a string", withMessageMember(`"timestamp":▸"1"`), CodeInvalid, "messages[1].timestamp"},
		{"timestamp is null", withMessageMember(`"timestamp":▸null`), CodeInvalid, "messages[1].timestamp"},
		{"timestamp twice", withMessageMember(`"timestamp":1,▸"timestamp":1`), CodeInvalid, "messages[1].timestamp"},
		{"level is a number", packetWith(`{"level":▸3}`), CodeInvalid, "messages[0].level"},
		{"level is empty", packetWith(`{"level":▸""}`), CodeInvalid, "messages[0].level"},
		{"level twice", withMessageMember(`▸"level":"INFO"`), CodeInvalid, "messages[1].level"},
		{"level twice, escaped", withMessageMember(`▸"\u006cevel":"INFO"`), CodeInvalid, "messages[1].level"},
		{"message is a boolean", packetWith(`{"message":▸true}`), CodeInvalid, "messages[0].message"},
		{"message text is empty", packetWith(`{"message":▸""}`), CodeInvalid, "messages[0].message"},
		{"message twice", withMessageMember(`▸"message":"m"`), CodeInvalid, "messages[1].message"},
	}
}

// metadataRows has packets with invalid metadata or an invalid unknown member.
func metadataRows() []refusalRow {
	return []refusalRow{
		{"metadata is nothing whole", withMetadata(`▸nul`), CodeMalformed, "messages[0].metadata"},
		{"metadata is true", withMetadata(`▸true`), CodeInvalid, "messages[0].metadata"},
		{"metadata is a string", withMetadata(`▸"null"`), CodeInvalid, "messages[0].metadata"},
		{"metadata is an array", withMetadata(`▸[]`), CodeInvalid, "messages[0].metadata"},
		{"metadata with a number", withMetadata(`{"a":"","b":▸1}`), CodeInvalid, "messages[0].metadata.b"},
		{"metadata with less than null", withMetadata(`{"a":▸nil}`), CodeMalformed, "messages[0].metadata.a"},
		{"metadata with false", withMetadata(`{"a":null,"b":▸false}`), CodeInvalid, "messages[0].metadata.b"},
		{"null metadata twice", withMetadata(`null,▸"metadata":null`), CodeInvalid, "messages[0].metadata"},
		{"metadata with an object", withMetadata(`{"a":▸{}}`), CodeInvalid, "messages[0].metadata.a"},
		{"metadata twice", withMetadata(`{},▸"metadata":{}`), CodeInvalid, "messages[0].metadata"},
		{"fault under a long name", withMetadata(`{"` + strings.Repeat("é", 1000) + `":▸1}`), CodeInvalid, "messages[0].metadata." + strings.Repeat("é", 32) + "…"},
		{"fault under a name with control characters", extended(`"a\u001b[2J\nb":▸nul`), CodeMalformed, "a\uFFFD[2J\uFFFDb"},
	}
}

// sizeRows has packets over the limit of messages.
func sizeRows() []refusalRow {
	return []refusalRow{
		{"eleven messages", packetWith(strings.Repeat(plainMessage+",", 10) + mark + plainMessage), CodeTooLarge, "messages"},
	}
}
