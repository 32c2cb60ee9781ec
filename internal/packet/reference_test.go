package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// verdict is the result of the reference for an accepted body.
type verdict struct {
	emitterID, packetID string
	messages            int
	level               Level
}

// reference is a simple implementation of Check: it decodes the body into a tree with
// the standard library and then applies the rules.
func reference(body []byte, maxMessages int) (verdict, error) {
	if !utf8.Valid(body) || !json.Valid(body) {
		return verdict{}, errors.New("not JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	tree, err := readTree(decoder, 1)
	if err != nil {
		return verdict{}, err
	}
	packet, ok := tree.(object)
	if !ok {
		return verdict{}, errors.New("not an object")
	}
	if err := packet.hasEachOnce("emitter_id", "packet_id", "messages"); err != nil {
		return verdict{}, err
	}
	var raw map[string]json.RawMessage // has no name twice that matters
	if err := json.Unmarshal(body, &raw); err != nil {
		return verdict{}, err
	}
	if hasLoneSurrogate(raw["emitter_id"]) || hasLoneSurrogate(raw["packet_id"]) {
		return verdict{}, errors.New("a lone surrogate in an id")
	}
	v := verdict{}
	if v.emitterID, err = referenceID(packet.get("emitter_id")); err != nil {
		return verdict{}, err
	}
	if v.packetID, err = referenceID(packet.get("packet_id")); err != nil {
		return verdict{}, err
	}
	messages, ok := packet.get("messages").([]any)
	if !ok || len(messages) == 0 || len(messages) > maxMessages {
		return verdict{}, errors.New("messages")
	}
	for _, message := range messages {
		level, err := referenceMessage(message)
		if err != nil {
			return verdict{}, err
		}
		v.level = max(v.level, level)
	}
	v.messages = len(messages)
	return v, nil
}

func referenceID(value any) (string, error) {
	id, ok := value.(string)
	if !ok || id == "" || len(id) > 1024 {
		return "", errors.New("id")
	}
	return id, nil
}

var (
	characters    = regexp.MustCompile(`(?s)\\u....|\\.|[^\\]`)
	highSurrogate = regexp.MustCompile(`^\\u[dD][89abAB]`)
	lowSurrogate  = regexp.MustCompile(`^\\u[dD][c-fC-F]`)
)

// hasLoneSurrogate inspects escaped JSON text.
func hasLoneSurrogate(text []byte) bool {
	var before []byte // a high surrogate that waits for its pair
	for _, character := range characters.FindAll(text, -1) {
		low := lowSurrogate.Match(character)
		if low != (before != nil) {
			return true
		}
		before = nil
		if highSurrogate.Match(character) {
			before = character
		}
	}
	return before != nil
}

var positiveInteger = regexp.MustCompile(`^[1-9][0-9]*$`)

func referenceMessage(value any) (Level, error) {
	message, ok := value.(object)
	if !ok {
		return 0, errors.New("a message is not an object")
	}
	if err := message.hasEachOnce("timestamp", "level", "message"); err != nil {
		return 0, err
	}
	timestamp, ok := message.get("timestamp").(json.Number)
	if !ok || !positiveInteger.MatchString(timestamp.String()) {
		return 0, errors.New("timestamp")
	}
	if _, err := strconv.ParseInt(timestamp.String(), 10, 64); err != nil {
		return 0, err
	}
	if text, ok := message.get("message").(string); !ok || text == "" {
		return 0, errors.New("message")
	}
	level, ok := message.get("level").(string)
	if !ok || level == "" {
		return 0, errors.New("level")
	}
	switch message.count("metadata") {
	case 0:
	case 1:
		value := message.get("metadata")
		metadata, ok := value.(object)
		if !ok && value != nil {
			return 0, errors.New("metadata")
		}
		for _, m := range metadata {
			if _, ok := m.value.(string); !ok && m.value != nil {
				return 0, errors.New("metadata value")
			}
		}
	default:
		return 0, errors.New("metadata twice")
	}
	return referenceLevel(level), nil
}

// referenceLevels are the known level names in lower case.
var referenceLevels = map[Level]string{
	LevelTrace:    "t trc trace finest finer verbose",
	LevelDebug:    "d dbg debug fine",
	LevelInfo:     "i inf info information informational",
	LevelNotice:   "n notice",
	LevelWarn:     "w wrn warn warning",
	LevelError:    "e err error severe",
	LevelCritical: "c crit critical f ftl fatal a alert emerg emergency p panic dpanic",
}

func referenceLevel(name string) Level {
	lower := strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
	for level, names := range referenceLevels {
		for known := range strings.FieldsSeq(names) {
			if lower == known {
				return level
			}
		}
	}
	return LevelInfo
}

// object is a JSON object with its members in order, duplicates included.
type object []member

type member struct {
	name  string
	value any
}

func (o object) count(name string) int {
	count := 0
	for _, m := range o {
		if m.name == name {
			count++
		}
	}
	return count
}

func (o object) get(name string) any {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

func (o object) hasEachOnce(names ...string) error {
	for _, name := range names {
		if count := o.count(name); count != 1 {
			return fmt.Errorf("%s occurs %d times", name, count)
		}
	}
	return nil
}

// readTree reads a value of valid JSON; depth is its nesting if it is an object or an
// array.
func readTree(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth > 32 {
		return nil, errors.New("nested too deep")
	}
	var members object
	var elements []any
	for decoder.More() {
		var name string
		if delim == '{' {
			token, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			name = token.(string)
		}
		value, err := readTree(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
		elements = append(elements, value)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if delim == '{' {
		return members, nil
	}
	return elements, nil
}
