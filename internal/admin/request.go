package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/control"
)

// maxWait bounds how long a request may wait for a newer revision.
const maxWait = 5 * time.Minute

// request is a request that its caller has the rights to make.
type request struct {
	*http.Request
	*query
	caller *caller
	// name is the text that matches the braces of the path.
	name string
	body []byte
	// record is the record for the audit log; nil: the request is not recorded.
	record *record
}

// decode decodes the body.
func (r *request) decode(into any) error { return decode(r.body, into) }

// deleteOptions are the members of the body of a DELETE that may be parameters instead: some
// clients send no body with that method.
const deleteOptions = "ttl reason force"

// decodeDelete decodes the body of a DELETE, or the parameters in place of the body.
func (r *request) decodeDelete(into any) error {
	members := make(map[string]any)
	for name := range strings.FieldsSeq(deleteOptions) {
		switch {
		case r.has(name) && len(bytes.TrimSpace(r.body)) > 0:
			refused := refuse(malformed, "%s is a parameter, and there is a body: it must be a member of that", name)
			refused.Key = name
			return refused
		case r.has(name) && name == "force":
			members[name] = r.flag(name)
		case r.has(name):
			members[name] = r.text(name)
		}
	}
	if len(members) == 0 {
		return r.decode(into)
	}
	if r.query.err != nil {
		return r.query.err
	}
	text, err := json.Marshal(members)
	if err == nil {
		err = decode(text, into)
	}
	return err
}

// actor returns the caller for events and overrides.
func (r *request) actor() control.Actor {
	return control.Actor{Name: r.caller.Name, Role: string(r.caller.Role), Address: clientName(r.Request)}
}

// change returns the members that all changes have, and records them for the audit log.
func (r *request) change(o options) (control.Request, error) {
	revision, err := r.ifMatch()
	change := control.Request{
		Actor: r.actor(), IfMatch: revision, DryRun: r.flag("dry_run"), TTL: time.Duration(o.TTL), Reason: string(o.Reason),
	}
	r.record.DryRun, r.record.Reason = change.DryRun, change.Reason
	if change.TTL > 0 {
		r.record.TTL = change.TTL.String()
	}
	if err == nil {
		err = r.query.err
	}
	return change, err
}

// ifMatch returns the revision of If-Match, 0 for any, or control.NoRevision for an entity tag that
// is not that of a revision. Weak ones match nothing (RFC 9110, section 13.1.1).
func (r *request) ifMatch() (int64, error) {
	field := strings.TrimSpace(strings.Join(r.Header.Values("If-Match"), ", "))
	if field == "" || field == "*" {
		return 0, nil
	}
	text, quoted := entityTag(field)
	revision, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err == nil && revision > 0 && strconv.FormatInt(revision, 10) == text:
		return revision, nil
	case quoted:
		return control.NoRevision, nil
	default:
		return 0, refuseValue("If-Match", field, `a revision such as "1234", or *`)
	}
}

// entityTag returns the text of an entity tag in quotes; a weak one keeps its beginning.
func entityTag(field string) (text string, quoted bool) {
	tag, weak := strings.CutPrefix(field, "W/")
	if len(tag) < 2 || tag[0] != '"' || strings.IndexByte(tag[1:], '"') != len(tag)-2 {
		return field, false
	}
	if weak {
		return field, true
	}
	return tag[1 : len(tag)-1], true
}

// newer are the parameters of requests that wait for a newer revision.
const newer = "wait revision"

// awaitNewer blocks until the revision is newer than the parameter revision, at most for the
// time of the parameter wait.
func (a *api) awaitNewer(r *request) error {
	wait, revision := r.duration("wait", 0, maxWait), r.number("revision", -1, 0, 1<<62)
	if r.query.err == nil && r.has("wait") != r.has("revision") {
		return refuse(malformed, "wait and revision go together")
	}
	if r.query.err != nil || wait == 0 {
		return r.query.err
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	a.control.Wait(ctx, revision)
	return nil
}
