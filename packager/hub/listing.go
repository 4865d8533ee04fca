package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Limits on what a server lists.
const (
	maxListing = 32 << 20 // bytes
	maxListed  = 100_000  // files
	maxPath    = 1024     // bytes of a name with its folders
	maxSegment = 255      // bytes of one part of it
)

// listing is a commit and its files.
type listing struct {
	commit string
	files  map[string]listed
}

// listed is what the listing tells of a file, where it does.
type listed struct {
	size   int64 // -1 where not said
	digest string
}

// modelInfo is the part of the hub's answer that matters.
type modelInfo struct {
	SHA      string `json:"sha"`
	Siblings []struct {
		Name string `json:"rfilename"`
		Size *int64 `json:"size"`
		Blob string `json:"blobId"`
		LFS  *struct {
			SHA256 string `json:"sha256"`
			Size   *int64 `json:"size"`
		} `json:"lfs"`
	} `json:"siblings"`
}

// list asks which commit the revision is and which files it has.
func (w *client) list(ctx context.Context) (*listing, error) {
	target := w.cfg.Endpoint + "/api/models/" + w.ref.Repo + "/revision/" + url.PathEscape(w.ref.Revision) + "?blobs=true"
	var l *listing
	err := w.persist(ctx, func() (bool, error) {
		a, err := w.send(ctx, http.MethodGet, target, nil)
		if err != nil {
			return false, err
		}
		if err := w.check("", a, http.StatusOK); err != nil {
			return false, err
		}
		defer a.Body.Close()
		text, err := io.ReadAll(io.LimitReader(a.Body, maxListing+1))
		if err != nil {
			return false, &passing{err: fmt.Errorf("read list of files: %w", err)}
		}
		l, err = parseListing(text)
		return false, err
	})
	if err == nil && isCommit(w.ref.Revision) && l.commit != w.ref.Revision {
		err = fmt.Errorf("read list of files: it is of commit %s", l.commit)
	}
	return l, w.failed("", err)
}

// parseListing reads the hub's description of a model. Names that leave the
// repository are refused; names too odd for a model's file are left out.
func parseListing(text []byte) (*listing, error) {
	if len(text) > maxListing {
		return nil, fmt.Errorf("read list of files: more than %d bytes", maxListing)
	}
	var info modelInfo
	if err := json.Unmarshal(text, &info); err != nil {
		return nil, fmt.Errorf("read list of files: %w", err)
	}
	if !isCommit(info.SHA) {
		return nil, fmt.Errorf("read list of files: commit %q is not 40 hexadecimal digits", printable(info.SHA))
	}
	if len(info.Siblings) > maxListed {
		return nil, fmt.Errorf("read list of files: %d files, more than %d", len(info.Siblings), maxListed)
	}
	l := &listing{commit: info.SHA, files: make(map[string]listed, len(info.Siblings))}
	for _, s := range info.Siblings {
		if !fs.ValidPath(s.Name) || s.Name == "." {
			return nil, fmt.Errorf("read list of files: %q leaves the repository", s.Name)
		}
		if !plainPath(s.Name) {
			continue
		}
		f := listed{size: -1, digest: s.Blob}
		if s.Size != nil {
			f.size = *s.Size
		}
		if s.LFS != nil {
			f.digest = s.LFS.SHA256
			if s.LFS.Size != nil {
				f.size = *s.LFS.Size
			}
		}
		l.files[s.Name] = f
	}
	return l, nil
}

// plainPath reports whether a name of the repository is one that every file
// system has, below a folder and nowhere else.
func plainPath(p string) bool {
	if !fs.ValidPath(p) || p == "." || len(p) > maxPath {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if len(part) > maxSegment {
			return false
		}
	}
	return !strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`\:*?"<>|`, r) })
}

// isCommit reports whether s is a whole commit id.
func isCommit(s string) bool { return len(s) == 40 && isHex(s) }

// isDigest reports whether s is a digest that a file can be held against:
// SHA-256 of its bytes, or git's SHA-1 of a blob.
func isDigest(s string) bool { return (len(s) == 64 || len(s) == 40) && isHex(s) }

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}

// file is one file to be pulled.
type file struct {
	path   string
	digest string
	size   int64 // -1 where nobody said
}

// describe asks for a file's size and digest. The redirect's word for them counts
// before the response's own ETag, and the listing before the ETag of another host.
// A server without HEAD is asked with GET, whose body is left unread.
func (w *client) describe(ctx context.Context, l *listing, path string) (file, error) {
	f, method := file{path: path, size: -1}, http.MethodHead
	err := w.persist(ctx, func() (bool, error) {
		a, err := w.send(ctx, method, w.resolve(l.commit, path), nil)
		if err == nil && method == http.MethodHead && (a.StatusCode == http.StatusMethodNotAllowed || a.StatusCode == http.StatusNotImplemented) {
			a.Body.Close()
			method = http.MethodGet
			a, err = w.send(ctx, method, w.resolve(l.commit, path), nil)
		}
		if err != nil {
			return false, err
		}
		linked := a.linkedETag != "" && a.StatusCode >= 300 && a.StatusCode <= 399
		if !linked {
			if err := w.check(path, a, http.StatusOK); err != nil {
				return false, err
			}
		}
		a.Body.Close()
		f.size, f.digest = a.linkedSize, a.linkedETag
		if n, err := strconv.ParseInt(a.Header.Get("Content-Length"), 10, 64); err == nil && f.size < 0 && !linked {
			f.size = n
		}
		for _, digest := range ownFirst(a, l.files[path].digest) {
			if !isDigest(f.digest) {
				f.digest = digest
			}
		}
		if a.commit != "" && a.commit != l.commit {
			return false, fmt.Errorf("the server says commit %s, and listed %s", printable(a.commit), l.commit)
		}
		return false, nil
	})
	if err != nil {
		return f, w.failed(path, err)
	}
	if !isDigest(f.digest) {
		return f, &Error{Ref: w.ref, File: path, Problem: fmt.Sprintf("the server gives no digest: ETag %q", printable(f.digest)),
			Cure: "check that HF_ENDPOINT is a hub, and no proxy rewrites its headers"}
	}
	if f.size < 0 {
		f.size = l.files[path].size
	}
	return f, nil
}

// ownFirst orders a response's ETag and the listing's digest.
func ownFirst(a *answer, digest string) []string {
	tag := bareETag(a.Header.Get("ETag"))
	if a.away {
		return []string{digest, tag}
	}
	return []string{tag, digest}
}

// resolve is the address of a file.
func (w *client) resolve(commit, path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return w.cfg.Endpoint + "/" + w.ref.Repo + "/resolve/" + commit + "/" + strings.Join(parts, "/")
}
