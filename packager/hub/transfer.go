package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// restarts is how often a file is begun from nothing: what was pulled proved to
// be of something else, or its digest was wrong.
const restarts = 3

// puller is one pull.
type puller struct {
	ref   Ref
	cfg   Config
	web   *client
	repo  *repo
	slots chan struct{} // one for each request at once
	meter *meter
	piece int64 // length of a range; 0 for the default
}

func newPuller(ref Ref, cfg Config) *puller {
	return &puller{
		ref: ref, cfg: cfg, web: newClient(ref, cfg), repo: newRepo(cfg.Cache, ref),
		slots: make(chan struct{}, cfg.Connections), meter: &meter{report: cfg.Progress},
	}
}

// meter adds up the bytes of all files.
type meter struct {
	mu          sync.Mutex // guards what follows, and serialises reports
	report      func(done, total int64)
	done, total int64
	on          bool
}

// start begins to count.
func (m *meter) start(total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on, m.total = m.report != nil, total
}

func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.on && n != 0 {
		m.done += n
		m.report(m.done, m.total)
	}
}

// online pulls what the cache lacks. The snapshot gets its links when every file
// is there, and the revision its commit after that.
func (p *puller) online(ctx context.Context) (Snapshot, error) {
	l, err := p.web.list(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	files, err := p.plan(ctx, l)
	if err != nil {
		return Snapshot{}, err
	}
	if err := p.fetchAll(ctx, l.commit, files); err != nil {
		return Snapshot{}, err
	}
	return p.repo.publish(p.ref, l, files)
}

// plan says which files are needed, with size and digest. Those that decide about
// others (modules, shard indices) are pulled for it.
func (p *puller) plan(ctx context.Context, l *listing) ([]file, error) {
	known := make(map[string]file)
	t := &tree{paths: slices.Sorted(maps.Keys(l.files)), read: func(path string) ([]byte, error) {
		f, err := p.web.describe(ctx, l, path)
		if err != nil {
			return nil, err
		}
		if f.size > maxSmall {
			return nil, &Error{Ref: p.ref, File: path, Problem: fmt.Sprintf("%d bytes, more than %d", f.size, maxSmall)}
		}
		known[path] = f
		if err := p.fetch(ctx, l.commit, f); err != nil {
			return nil, err
		}
		return readSmall(p.repo.blob(f.digest))
	}}
	paths, err := t.choose(p.cfg.NoWeights)
	if gone := (*absent)(nil); errors.As(err, &gone) {
		return nil, &Error{Ref: p.ref, File: gone.file, Problem: gone.problem, Cure: gone.cure}
	}
	if err != nil {
		return nil, p.web.failed("", err)
	}
	files := make([]file, len(paths))
	err = each(ctx, p.cfg.Connections, len(paths), func(ctx context.Context, i int) (err error) {
		var found bool
		if files[i], found = known[paths[i]]; !found {
			files[i], err = p.web.describe(ctx, l, paths[i])
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return files, p.bound(files)
}

// bound refuses more bytes than are wanted, and starts to count them.
func (p *puller) bound(files []file) error {
	total := int64(0)
	for _, f := range files {
		if size := max(0, f.size); size > p.cfg.MaxBytes-total {
			return &Error{Ref: p.ref, File: f.path, Problem: fmt.Sprintf("%d bytes: with it the model has more than %d", size, p.cfg.MaxBytes)}
		}
		total += max(0, f.size)
	}
	p.meter.start(total)
	return nil
}

// fetchAll pulls files at the same time; equal content only once.
func (p *puller) fetchAll(ctx context.Context, commit string, files []file) error {
	var distinct []file
	for _, f := range files {
		if !slices.ContainsFunc(distinct, func(g file) bool { return g.digest == f.digest }) {
			distinct = append(distinct, f)
		} else {
			p.meter.add(max(0, f.size))
		}
	}
	return each(ctx, p.cfg.Connections, len(distinct), func(ctx context.Context, i int) error {
		return p.fetch(ctx, commit, distinct[i])
	})
}

// each calls do for 0 to n-1, at most width at once, and waits for all. The first
// error stops the others and is returned.
func each(ctx context.Context, width, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(width, n) {
		wg.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

// fetch makes a file's content be in the cache, whole and checked.
func (p *puller) fetch(ctx context.Context, commit string, f file) (err error) {
	if p.repo.holds(f) {
		p.meter.add(max(0, f.size))
		return nil
	}
	lock, err := p.repo.lock(ctx, f.digest)
	if err != nil {
		return p.web.failed(f.path, err)
	}
	defer lock.release()
	if p.repo.holds(f) { // whoever had the lock pulled it
		p.meter.add(max(0, f.size))
		return nil
	}
	part, err := p.repo.openPartial(f, p.piece, lock.exclusive, p.meter)
	if err != nil {
		return p.web.failed(f.path, fmt.Errorf("open partial file: %w", err))
	}
	defer func() { err = p.web.failed(f.path, errors.Join(err, part.close())) }()
	for n := range restarts {
		d := download{p, commit, f, part, n > 0}
		if err = d.run(ctx); err == nil {
			err = part.place()
		}
		if !errors.Is(err, errStale) && !errors.Is(err, ErrDigest) {
			return err
		}
		part.forget()
	}
	return err
}

// download pulls one file. It is careful after the first attempt failed: one
// request at a time, and no trust in the ETags of other hosts, of which some
// differ from machine to machine. The digest decides in the end.
type download struct {
	*puller
	commit  string
	file    file
	part    *partial
	careful bool
}

// run pulls what is missing: one piece alone, which tells whether the server
// knows ranges, then the others at the same time.
func (d *download) run(ctx context.Context) error {
	if d.file.size < 0 {
		return d.whole(ctx)
	}
	for missing := d.part.missing(); len(missing) > 0; missing = d.part.missing() {
		if err := d.pieceOf(ctx, missing[0], true); err != nil {
			return err
		}
		if rest := d.part.missing(); !d.careful && len(rest) > 0 {
			return each(ctx, d.cfg.Connections, len(rest), func(ctx context.Context, k int) error {
				return d.pieceOf(ctx, rest[k], false)
			})
		}
	}
	return nil
}

// pieceOf pulls piece i. The only request at a time may be answered with the whole
// file.
func (d *download) pieceOf(ctx context.Context, i int, only bool) error {
	most := d.part.most()
	return d.web.persist(ctx, func() (bool, error) {
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		defer func() { <-d.slots }()
		err := d.request(ctx, i, only)
		before := most
		most = d.part.most()
		return most > before, err
	})
}

// request asks once for what is missing of piece i and copies what comes.
func (d *download) request(ctx context.Context, i int, only bool) error {
	from, to := d.part.wanted(i)
	header := http.Header{}
	all := from == 0 && to == d.file.size
	if !all {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to-1))
		if v := d.part.validator(); v != "" && !d.careful {
			header.Set("If-Range", v)
		}
	}
	a, err := d.get(ctx, header)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode == http.StatusPartialContent {
		if err := d.checkRange(a, from, to); err != nil {
			return err
		}
		return d.part.fill(i, a.Body)
	}
	if !all && !only {
		return fmt.Errorf("%w: a range was answered with the whole file", errStale)
	}
	return d.rewrite(a)
}

// get asks for the file and refuses what is another one.
func (d *download) get(ctx context.Context, header http.Header) (*answer, error) {
	a, err := d.web.send(ctx, http.MethodGet, d.web.resolve(d.commit, d.file.path), header)
	if err != nil {
		return nil, err
	}
	if a.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		a.Body.Close()
		return nil, fmt.Errorf("%w: it is shorter than %d bytes", errStale, d.file.size)
	}
	if err := d.web.check(d.file.path, a, http.StatusOK, http.StatusPartialContent); err != nil {
		return nil, err
	}
	tag := a.linkedETag
	if tag == "" && !a.away {
		tag = bareETag(a.Header.Get("ETag"))
	}
	if isDigest(tag) && tag != d.file.digest {
		a.Body.Close()
		return nil, fmt.Errorf("%w: ETag %s, then %s", errStale, d.file.digest, tag)
	}
	return a, nil
}

// checkRange holds a partial answer against what was asked for.
func (d *download) checkRange(a *answer, from, to int64) error {
	first, last, size, err := contentRange(a.Header.Get("Content-Range"))
	switch {
	case err != nil:
		return err
	case size >= 0 && size != d.file.size:
		return fmt.Errorf("%w: %d bytes, then %d", errStale, d.file.size, size)
	case first != from || last < first || last >= to:
		return fmt.Errorf("asked for bytes %d to %d, got %d to %d", from, to-1, first, last)
	case d.careful:
		return nil
	}
	return d.part.match(strongETag(a.Header))
}

// rewrite takes a whole file, whatever was there before.
func (d *download) rewrite(a *answer) error {
	if a.ContentLength >= 0 && a.ContentLength != d.file.size {
		return fmt.Errorf("%w: %d bytes, then %d", errStale, d.file.size, a.ContentLength)
	}
	d.part.forget()
	if !d.careful {
		if err := d.part.match(strongETag(a.Header)); err != nil {
			return err
		}
	}
	for i := range d.part.Done {
		if err := d.part.fill(i, a.Body); err != nil {
			return err
		}
	}
	if n, _ := a.Body.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("%w: more than %d bytes", errStale, d.file.size)
	}
	return nil
}

// whole pulls a file whose size nobody told, from the start each time.
func (d *download) whole(ctx context.Context) error {
	return d.web.persist(ctx, func() (bool, error) {
		a, err := d.get(ctx, nil)
		if err != nil {
			return false, err
		}
		defer a.Body.Close()
		return false, d.part.fillAll(a.Body, d.cfg.MaxBytes)
	})
}

// strongETag is a response's ETag when ranges may be compared by it.
func strongETag(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) && len(tag) <= 256 {
		return tag
	}
	return ""
}

// contentRange reads "bytes first-last/size"; size is -1 for "*".
func contentRange(v string) (first, last, size int64, err error) {
	span, total, _ := strings.Cut(strings.TrimPrefix(v, "bytes "), "/")
	a, b, _ := strings.Cut(span, "-")
	first, err1 := strconv.ParseInt(a, 10, 64)
	last, err2 := strconv.ParseInt(b, 10, 64)
	size = -1
	var err3 error
	if total != "*" {
		size, err3 = strconv.ParseInt(total, 10, 64)
	}
	if err := errors.Join(err1, err2, err3); err != nil || first < 0 || last < 0 || size < 0 && total != "*" {
		return 0, 0, 0, fmt.Errorf("read Content-Range %q: want bytes FIRST-LAST/SIZE", printable(v))
	}
	return first, last, size, nil
}
