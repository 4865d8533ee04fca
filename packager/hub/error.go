package hub

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ErrOffline is returned, wrapped in an *Error, when the network may not be used
// and the cache does not hold what was asked for.
var ErrOffline = errors.New("not in the cache, and the network is switched off")

// ErrDigest is returned, wrapped in an *Error, when bytes are not those that
// their digest names, after they were pulled afresh.
var ErrDigest = errors.New("digest mismatch")

// Error is what went wrong with a model of a hub, where, and what to do about it.
type Error struct {
	Ref     Ref
	File    string // path in the repository; may be empty
	Status  int    // of the last HTTP response; 0 where there was none
	Problem string
	Cure    string // what the user can do; may be empty
	Err     error  // the cause; may be nil
}

// Error says model, file, status, problem and cure.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Ref.String())
	if e.File != "" {
		b.WriteString(": " + e.File)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ": HTTP %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Problem != "" {
		b.WriteString(": " + e.Problem)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Cure != "" {
		b.WriteString(" (" + e.Cure + ")")
	}
	return b.String()
}

// Unwrap gives errors.Is the cause.
func (e *Error) Unwrap() error { return e.Err }

// passing is an error that may be gone at the next try.
type passing struct {
	err   error
	after time.Duration // what the server asked to wait; 0 where it did not
}

func (e *passing) Error() string { return e.err.Error() }
func (e *passing) Unwrap() error { return e.err }

// errStale says that what was pulled so far belongs to something else.
var errStale = errors.New("the file changed on the server while it was pulled")

// refusal is the error of a response whose status is not a success. Whether it
// may pass is for the caller to wrap.
func (w *client) refusal(file string, a *answer) *Error {
	e := &Error{Ref: w.ref, File: file, Status: a.StatusCode, Problem: printable(a.Header.Get("X-Error-Message"))}
	page := w.cfg.Endpoint + "/" + w.ref.Repo
	code := a.Header.Get("X-Error-Code")
	switch {
	case a.away:
		e.Problem = "from " + a.Request.URL.Host
	case code == "GatedRepo" || a.StatusCode == http.StatusForbidden:
		e.Cure = "accept the model's terms at " + page + " and " + w.tokenCure()
	case a.StatusCode == http.StatusUnauthorized:
		e.Cure = "a model that is private or gated, or does not exist: " + w.tokenCure() + ", or check the name"
	case code == "RevisionNotFound" || a.StatusCode == http.StatusNotFound && file == "" && w.ref.Revision != mainRevision && code != "RepoNotFound":
		e.Cure = fmt.Sprintf("revision %s: the branches, tags and commits are at %s", w.ref.Revision, page)
	case a.StatusCode == http.StatusNotFound && file != "":
		e.Cure = fmt.Sprintf("the file is not in revision %s", w.ref.Revision)
	case a.StatusCode == http.StatusNotFound:
		e.Cure = "no such model: check owner and name"
	case a.StatusCode == http.StatusTooManyRequests:
		e.Cure = "try again later; a token in HF_TOKEN raises the limit"
	case a.StatusCode >= 500:
		e.Cure = "try again later"
	}
	return e
}

// tokenCure says what to do about the token.
func (w *client) tokenCure() string {
	switch {
	case w.cfg.Token != "" && !w.sendsToken():
		return "use an https endpoint: the token is not sent over plain http"
	case w.cfg.Token != "":
		return "check that the token in HF_TOKEN may read it"
	}
	return "set HF_TOKEN"
}

// printable shortens a server's words to one line that a terminal can show.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return s
}
