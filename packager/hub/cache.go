package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"skiff/formats/durable"
)

// repo is one model's folder in the cache:
//
//	models--owner--name/
//	  blobs/DIGEST                     content, named by what it must hash to
//	  blobs/DIGEST.skiff.incomplete    content on its way
//	  snapshots/COMMIT/PATH            links to ../../blobs/DIGEST
//	  refs/REVISION                    a commit
//	  .skiff/COMMIT                    every path of the commit, one a line
//	.locks/models--owner--name/DIGEST.lock
//
// All but .skiff is what huggingface_hub reads and writes too.
type repo struct {
	cache string
	dir   string
	locks string
}

func newRepo(cache string, ref Ref) *repo {
	name := "models--" + strings.ReplaceAll(ref.Repo, "/", "--")
	return &repo{cache, filepath.Join(cache, name), filepath.Join(cache, ".locks", name)}
}

func (r *repo) snapshot(commit string) string { return filepath.Join(r.dir, "snapshots", commit) }
func (r *repo) refFile(revision string) string {
	return filepath.Join(r.dir, "refs", filepath.FromSlash(revision))
}
func (r *repo) record(commit string) string { return filepath.Join(r.dir, ".skiff", commit) }

// listed reports whether all paths of a commit are known without the hub.
func (r *repo) listed(commit string) bool {
	_, err := os.Stat(r.record(commit))
	return err == nil
}

// publish links files whose blobs are all there into the snapshot, weights last,
// and then tells which commit the revision is.
func (r *repo) publish(ref Ref, l *listing, files []file) (Snapshot, error) {
	s := Snapshot{Dir: r.snapshot(l.commit), Commit: l.commit}
	for _, f := range files {
		if err := r.link(filepath.Join(s.Dir, filepath.FromSlash(f.path)), f.digest); err != nil {
			return Snapshot{}, fmt.Errorf("link %s into the cache: %w", f.path, err)
		}
		s.Files = append(s.Files, f.path)
	}
	lines := strings.Join(slices.Sorted(maps.Keys(l.files)), "\n") + "\n"
	if err := r.keep(r.record(l.commit), lines); err != nil {
		return Snapshot{}, fmt.Errorf("record files of commit: %w", err)
	}
	if ref.Revision != l.commit {
		if err := r.keep(r.refFile(ref.Revision), l.commit); err != nil {
			return Snapshot{}, fmt.Errorf("record commit of %s: %w", ref.Revision, err)
		}
	}
	tag := "Signature: 8a477f597d28d172789f06886806bc55\n# Backups may leave this folder out: https://bford.info/cachedir/\n"
	err := durable.Create(filepath.Join(r.cache, "CACHEDIR.TAG"), 0o644, text(tag))
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrPermission) {
		return Snapshot{}, fmt.Errorf("mark cache: %w", err)
	}
	return s, nil
}

// text writes s.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// keep makes a small file have a content; one that has it is left alone, since the
// cache may be somebody else's to write.
func (r *repo) keep(path, content string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == content {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return durable.Write(path, 0o644, text(content))
}

// link makes path be a relative link to a blob, in one step. Where a system has no
// links for us, the file gets a second name instead.
func (r *repo) link(path, digest string) error {
	dir := filepath.Dir(path)
	target, err := filepath.Rel(dir, r.blob(digest))
	if err != nil {
		return err
	}
	if old, err := os.Readlink(path); err == nil && old == target {
		return nil
	}
	if verify(path, digest, -1) == nil {
		return nil // a copy, as some systems need
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(dir, ".skiff.*.tmp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	name := filepath.Join(temp, "link")
	if err := os.Symlink(target, name); err != nil {
		if err := os.Link(r.blob(digest), name); err != nil {
			return err
		}
	}
	if err := os.Rename(name, path); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// offline finds a revision in the cache and checks every file it needs. Links are
// held against the digest in the name of what they lead to.
func (r *repo) offline(ref Ref, noWeights bool) (Snapshot, error) {
	commit, err := r.commitOf(ref)
	if err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{Dir: r.snapshot(commit), Commit: commit}
	paths, complete, err := r.pathsOf(commit)
	if err != nil {
		return Snapshot{}, r.lacks(ref, "", fmt.Sprintf("no files of commit %s in %s", commit, r.cache))
	}
	t := &tree{paths: paths, read: func(path string) ([]byte, error) {
		if err := r.sound(ref, s.Dir, path); err != nil {
			return nil, err
		}
		return readSmall(filepath.Join(s.Dir, filepath.FromSlash(path)))
	}}
	s.Files, err = t.choose(noWeights)
	if gone := (*absent)(nil); errors.As(err, &gone) {
		if complete {
			return Snapshot{}, &Error{Ref: ref, File: gone.file, Problem: gone.problem, Cure: gone.cure}
		}
		return Snapshot{}, r.lacks(ref, gone.file, gone.problem)
	}
	if e := (*Error)(nil); err != nil && !errors.As(err, &e) {
		err = &Error{Ref: ref, Err: err}
	}
	if err != nil {
		return Snapshot{}, err
	}
	for _, path := range s.Files {
		if err := r.sound(ref, s.Dir, path); err != nil {
			return Snapshot{}, err
		}
	}
	return s, nil
}

// lacks is the error of offline mode.
func (r *repo) lacks(ref Ref, file, problem string) error {
	return &Error{Ref: ref, File: file, Problem: problem, Cure: "pull it once with HF_HUB_OFFLINE unset, or check HF_HOME and HF_HUB_CACHE", Err: ErrOffline}
}

// commitOf is the commit that the cache knows a revision as.
func (r *repo) commitOf(ref Ref) (string, error) {
	if isCommit(ref.Revision) {
		return ref.Revision, nil
	}
	text, err := readSmall(r.refFile(ref.Revision))
	if err != nil {
		return "", r.lacks(ref, "", fmt.Sprintf("no revision %s of it in %s", ref.Revision, r.cache))
	}
	commit := strings.TrimSpace(string(text))
	if !isCommit(commit) {
		return "", r.lacks(ref, "", fmt.Sprintf("%s does not name a commit", r.refFile(ref.Revision)))
	}
	return commit, nil
}

// pathsOf lists the files of a commit, sorted: all that the hub has, as recorded by
// us or by huggingface_hub (complete), else those that are here.
func (r *repo) pathsOf(commit string) (paths []string, complete bool, err error) {
	if text, err := readSmall(r.record(commit)); err == nil {
		return cleanPaths(strings.Split(string(text), "\n")), true, nil
	}
	var listing struct {
		Version int                        `json:"format_version"`
		Files   map[string]json.RawMessage `json:"files"`
	}
	text, err := readSmall(filepath.Join(r.dir, "trees", commit+".json"))
	if err == nil && json.Unmarshal(text, &listing) == nil && listing.Version == 1 {
		return cleanPaths(slices.Collect(maps.Keys(listing.Files))), true, nil
	}
	root := r.snapshot(commit)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if len(paths) == maxListed {
			return fmt.Errorf("more than %d files", maxListed)
		}
		rel, err := filepath.Rel(root, path)
		paths = append(paths, filepath.ToSlash(rel))
		return err
	})
	return cleanPaths(paths), false, err
}

// cleanPaths sorts paths and drops what is none.
func cleanPaths(paths []string) []string {
	paths = slices.DeleteFunc(paths, func(p string) bool { return !plainPath(p) })
	slices.Sort(paths)
	return slices.Compact(paths)
}

// sound checks that a file of a snapshot is there and has the content that the
// name of its blob promises.
func (r *repo) sound(ref Ref, dir, path string) error {
	full := filepath.Join(dir, filepath.FromSlash(path))
	info, err := os.Stat(full)
	if err != nil || !info.Mode().IsRegular() {
		return r.lacks(ref, path, "not among the files in "+dir)
	}
	target, err := os.Readlink(full)
	if err != nil || !isDigest(filepath.Base(target)) {
		return nil // a copy: nothing says what it should be
	}
	if err := verify(full, filepath.Base(target), -1); err != nil {
		return &Error{Ref: ref, File: path, Problem: "damaged in the cache", Err: err, Cure: "pull it again with HF_HUB_OFFLINE unset"}
	}
	return nil
}

// readSmall reads a file of bounded size.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if err == nil && len(text) > maxSmall {
		err = fmt.Errorf("read %s: more than %d bytes", path, maxSmall)
	}
	return text, err
}
