// Package hub pulls a model from a Hugging Face hub into the cache that all
// tools of that world share, and finds it there again without a network.
//
//	hf:owner/name@revision --ParseRef--> Ref
//	list the commit's files        listing.go   one request
//	choose those a model needs     choose.go    pure; the same rule offline
//	ask for size and digest        client.go    HEAD, redirects, retries, the token
//	pull what the cache lacks      transfer.go  ranges, resume, .incomplete files
//	check the digest, then name    blob.go      one writer per blob, by a lock
//	link it into the snapshot      cache.go     after every file is there
//
// Nothing is believed that a server says: names stay inside the cache, sizes are
// bounded, and no byte gets a name in the cache before its digest is right. The
// layout (blobs, refs, snapshots, .locks) is that of huggingface_hub.
//
// The package must not import an importer, a kernel or a format of models: it moves
// files.
package hub

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// Prefix begins the name of a model that is on a hub.
const Prefix = "hf:"

// mainRevision is the branch of a Ref without a revision.
const mainRevision = "main"

// Ref names a model of a hub.
type Ref struct {
	Repo     string // owner/name, or the bare name of a few old models
	Revision string // branch, tag or commit
}

// repoName is what a hub accepts: letters, digits, '_', '.' and '-', which does
// not begin or end a part.
var repoName = regexp.MustCompile(`^([0-9A-Za-z_]([0-9A-Za-z_.-]*[0-9A-Za-z_])?/)?[0-9A-Za-z_]([0-9A-Za-z_.-]*[0-9A-Za-z_])?$`)

// ParseRef reads hf:owner/name[@revision]; the revision is main where none is said.
func ParseRef(arg string) (Ref, error) {
	name, found := strings.CutPrefix(arg, Prefix)
	if !found {
		return Ref{}, fmt.Errorf("model %q: want %sowner/name[@revision]", arg, Prefix)
	}
	ref := Ref{Revision: mainRevision}
	var said bool
	if ref.Repo, ref.Revision, said = strings.Cut(name, "@"); !said {
		ref.Revision = mainRevision
	}
	return ref, ref.check()
}

// check refuses names that no hub has, before they become part of a path.
func (r Ref) check() error {
	bad := !repoName.MatchString(r.Repo) || len(r.Repo) > 193 || strings.HasSuffix(r.Repo, ".git")
	if bad || strings.Contains(r.Repo, "--") || strings.Contains(r.Repo, "..") {
		return fmt.Errorf("model %q: want %sowner/name[@revision]", Prefix+r.Repo, Prefix)
	}
	if !plainPath(r.Revision) || strings.HasPrefix(r.Revision, ".") || strings.Contains(r.Revision, "/.") || len(r.Revision) > maxSegment {
		return fmt.Errorf("model %s%s: %q is no branch, tag or commit", Prefix, r.Repo, r.Revision)
	}
	return nil
}

// String is the Ref as ParseRef reads it.
func (r Ref) String() string {
	if r.Revision == mainRevision {
		return Prefix + r.Repo
	}
	return Prefix + r.Repo + "@" + r.Revision
}

// Name is the model's name without its owner.
func (r Ref) Name() string { return r.Repo[strings.LastIndexByte(r.Repo, '/')+1:] }

// Config says which hub and which cache; its zero value is the public hub,
// without a token, and the usual folder. FromEnv reads it from the environment.
type Config struct {
	Endpoint    string // URL of the hub; "" is https://huggingface.co
	Cache       string // folder of the cache; "" is .cache/huggingface/hub in the home folder
	Token       string // sent to the endpoint's host and to no other; may be empty
	Offline     bool   // answer from the cache alone
	NoWeights   bool   // leave the weights where they are
	Connections int    // requests at once; 0 is 4
	MaxBytes    int64  // bound on all files together; 0 is 64 GiB

	// Progress is told how many bytes of a pull are there, those of the cache
	// included. Calls do not overlap; they come from several goroutines. There is
	// none before total is known. May be nil.
	Progress func(done, total int64)
}

// The defaults of a Config.
const (
	defaultEndpoint    = "https://huggingface.co"
	defaultConnections = 4
	defaultMaxBytes    = 64 << 30
)

// withDefaults fills in what was left out and refuses what cannot be.
func (c Config) withDefaults() (Config, error) {
	if c.Endpoint == "" {
		c.Endpoint = defaultEndpoint
	}
	c.Endpoint = strings.TrimRight(c.Endpoint, "/")
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" {
		return c, errors.New("read endpoint: want HF_ENDPOINT to be the URL of a hub, such as " + defaultEndpoint)
	}
	if c.Connections == 0 {
		c.Connections = defaultConnections
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.Connections < 0 || c.MaxBytes < 0 {
		return c, fmt.Errorf("%d connections and %d bytes: want none below 0", c.Connections, c.MaxBytes)
	}
	if c.Cache == "" {
		if c.Cache, err = defaultCache(func(string) string { return "" }); err != nil {
			return c, err
		}
	}
	c.Cache, err = filepath.Abs(c.Cache)
	return c, err
}

// Snapshot is a model in the cache.
type Snapshot struct {
	Dir    string   // folder of the commit, in the layout of the hub
	Commit string   // 40 hexadecimal digits
	Files  []string // those a model needs, weights last, with slashes
}

// Pull makes the files that a model needs be in the cache and returns where. What
// is there already is checked and not pulled again. Errors of the hub and of what
// it sent are *Error; in offline mode what the cache lacks is ErrOffline. It may be
// called concurrently, also by several processes, for the same model.
func Pull(ctx context.Context, ref Ref, cfg Config) (Snapshot, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Snapshot{}, err
	}
	if err := ref.check(); err != nil {
		return Snapshot{}, err
	}
	p := newPuller(ref, cfg)
	defer p.web.close()
	return p.pull(ctx)
}

// pull answers from the cache where that is certain to be right: a commit does
// not change.
func (p *puller) pull(ctx context.Context) (Snapshot, error) {
	if p.cfg.Offline {
		return p.repo.offline(p.ref, p.cfg.NoWeights)
	}
	if isCommit(p.ref.Revision) && p.repo.listed(p.ref.Revision) {
		if s, err := p.repo.offline(p.ref, p.cfg.NoWeights); err == nil {
			return s, nil
		}
	}
	s, err := p.online(ctx)
	if err != nil && ctx.Err() != nil {
		return Snapshot{}, ctx.Err()
	}
	return s, err
}
