package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// How patient a client is.
const (
	tries         = 6                      // without progress
	firstDelay    = 500 * time.Millisecond // doubles with each try
	maxDelay      = 30 * time.Second
	maxRetryAfter = 5 * time.Minute // a longer wait is the user's decision
	stallAfter    = 30 * time.Second
	maxRedirects  = 10
)

// client sends requests for one model. Safe for concurrent use.
type client struct {
	cfg   Config
	ref   Ref
	base  *url.URL
	http  *http.Client
	stall time.Duration // how long a response may send nothing

	sleep func(ctx context.Context, d time.Duration) error
}

func newClient(ref Ref, cfg Config) *client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true // sizes and ranges are those of the file
	t.ResponseHeaderTimeout = stallAfter
	t.MaxIdleConnsPerHost = cfg.Connections
	t.MaxResponseHeaderBytes = 1 << 20
	// HTTP/2 would put all ranges on one connection, and one loss would halt them all.
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	base, _ := url.Parse(cfg.Endpoint) // withDefaults has parsed it
	manual := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{
		cfg: cfg, ref: ref, base: base, stall: stallAfter, sleep: sleep,
		http: &http.Client{Transport: t, CheckRedirect: manual},
	}
}

// close lets go of idle connections.
func (w *client) close() { w.http.CloseIdleConnections() }

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer is a response, and what the redirects on the way to it said. A
// redirect to where large files lie tells their size and digest; the place itself
// does not, and its ETag is another.
type answer struct {
	*http.Response
	commit     string
	linkedETag string
	linkedSize int64 // -1 where not said
	away       bool  // not from the endpoint's own host
}

// note keeps what the response of one hop says.
func (a *answer) note(h http.Header) {
	if a.commit == "" {
		a.commit = h.Get("X-Repo-Commit")
	}
	if a.linkedETag == "" {
		a.linkedETag = bareETag(h.Get("X-Linked-Etag"))
	}
	if n, err := strconv.ParseInt(h.Get("X-Linked-Size"), 10, 64); err == nil && n >= 0 && a.linkedSize < 0 {
		a.linkedSize = n
	}
}

// bareETag is an ETag without its quotes and its mark of weakness.
func bareETag(tag string) string { return strings.Trim(strings.TrimPrefix(tag, "W/"), `"`) }

// send makes one request and follows its redirects, by hand: the token goes to
// the endpoint's own host alone, and https is never left. A HEAD does not go
// on when it has learnt size and digest. The caller closes the body.
func (w *client) send(ctx context.Context, method, target string, header http.Header) (*answer, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, errors.New("read URL: it does not parse")
	}
	a := &answer{linkedSize: -1}
	for range maxRedirects {
		a.away = !w.isHome(u)
		if a.Response, err = w.hop(ctx, method, u, header); err != nil {
			return nil, err
		}
		a.note(a.Header)
		if a.StatusCode < 300 || a.StatusCode > 399 || a.StatusCode == http.StatusNotModified || method == http.MethodHead && a.linkedETag != "" {
			return a, nil
		}
		next, err := a.Location()
		a.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("follow redirect from %s: no address", u.Host)
		}
		if next.Scheme != "https" && (next.Scheme != "http" || u.Scheme == "https") {
			return nil, fmt.Errorf("follow redirect from %s: it leads from %s to %q", u.Host, u.Scheme, next.Scheme)
		}
		u = next
	}
	return nil, fmt.Errorf("follow redirect from %s: more than %d", u.Host, maxRedirects)
}

// hop makes one request without following. Errors of the network may pass; they
// name the host and not the URL, which may carry a signature.
func (w *client) hop(ctx context.Context, method string, u *url.URL, header http.Header) (*http.Response, error) {
	watched, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(watched, method, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("ask %s: bad address", u.Host)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", "skiff")
	req.Header.Set("Accept-Encoding", "identity")
	if w.isHome(u) && w.cfg.Token != "" && w.sendsToken() {
		req.Header.Set("Authorization", "Bearer "+w.cfg.Token)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		cancel(nil)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, &passing{err: fmt.Errorf("ask %s: %w", u.Host, err)}
	}
	resp.Body = watch(watched, cancel, resp.Body, w.stall)
	return resp, nil
}

// isHome reports whether a URL is of the endpoint's own host.
func (w *client) isHome(u *url.URL) bool { return u.Scheme == w.base.Scheme && u.Host == w.base.Host }

// sendsToken reports whether the endpoint may see the token: over https, or
// without leaving this machine.
func (w *client) sendsToken() bool {
	ip := net.ParseIP(w.base.Hostname())
	return w.base.Scheme == "https" || w.base.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// body is a response's body that fails when it sends nothing for too long.
type body struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
}

// errStalled is the cause of a read that waited too long.
var errStalled = errors.New("the server sends nothing more")

func watch(ctx context.Context, cancel context.CancelCauseFunc, rc io.ReadCloser, stall time.Duration) *body {
	return &body{rc, ctx, cancel, time.AfterFunc(stall, func() { cancel(errStalled) }), stall}
}

func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.stall)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF && context.Cause(b.ctx) == errStalled {
		err = errStalled
	}
	return n, err
}

func (b *body) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// check turns a status other than want into an error, which may pass where the
// status says so, and closes the body.
func (w *client) check(file string, a *answer, want ...int) error {
	for _, status := range want {
		if a.StatusCode == status {
			if enc := a.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
				a.Body.Close()
				return &Error{Ref: w.ref, File: file, Problem: fmt.Sprintf("encoded as %q, which was not asked for", printable(enc))}
			}
			return nil
		}
	}
	a.Body.Close()
	e := w.refusal(file, a)
	switch s := a.StatusCode; {
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable:
		after := retryAfter(a.Header, time.Now())
		if after > maxRetryAfter {
			e.Problem = fmt.Sprintf("the server asks to wait %s", after.Round(time.Second))
			return e
		}
		return &passing{e, after}
	case s == http.StatusRequestTimeout, s >= 500 && s != http.StatusNotImplemented, a.away && (s == http.StatusForbidden || s == http.StatusNotFound):
		return &passing{err: e} // elsewhere a signature may have expired; the next try gets a new one
	}
	return e
}

// retryAfter is how long a response asks to wait: Retry-After in seconds or as a
// date, or the reset of the exhausted quota in RateLimit.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.Atoi(v); err == nil && n >= 0 {
		return time.Duration(min(n, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, at.Sub(now))
	}
	for part := range strings.SplitSeq(h.Get("RateLimit"), ";") {
		if n, err := strconv.Atoi(strings.TrimPrefix(part, "t=")); err == nil && n >= 0 && strings.HasPrefix(part, "t=") {
			return time.Duration(min(n, 1<<20)) * time.Second
		}
	}
	return 0
}

// persist repeats what may pass, with growing pauses, until it has failed too
// often in a row without progress. try reports progress that no earlier one had.
func (w *client) persist(ctx context.Context, try func() (progress bool, err error)) error {
	for n := 0; ; n++ {
		progress, err := try()
		soft := (*passing)(nil)
		if err == nil || !errors.As(err, &soft) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if progress {
			n = 0
		}
		if n >= tries-1 {
			return soft.err
		}
		if err := w.sleep(ctx, max(backoff(n), soft.after)); err != nil {
			return err
		}
	}
}

// backoff is the pause after try n: twice as long each time, up to a bound, and
// up to half of it left out by chance, so that many clients do not come together.
func backoff(n int) time.Duration {
	d := min(firstDelay<<min(n, 16), maxDelay)
	return d - rand.N(d/2)
}

// failed puts a bare error into the words of a model and its file.
func (w *client) failed(file string, err error) error {
	if e := (*Error)(nil); err == nil || errors.As(err, &e) {
		return err
	}
	e := &Error{Ref: w.ref, File: file, Err: err}
	if n := (net.Error)(nil); errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errStalled) {
		e.Cure = "check the network; HF_HUB_OFFLINE=1 takes what the cache holds"
	}
	return e
}
