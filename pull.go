package main

import (
	"context"
	"os"
	"strings"

	"skiff/packager/hub"
)

// onHub reports whether a MODEL is named by its place on a hub.
func onHub(arg string) bool { return strings.HasPrefix(arg, hub.Prefix) }

// pulled gives the folder of a MODEL and what to call it. One that is on a hub is
// pulled into the cache first, with or without its weights; any other is its own
// folder, and name is "".
func pulled(ctx context.Context, arg string, noWeights bool, p *progress) (dir, name string, err error) {
	if !onHub(arg) {
		return arg, "", nil
	}
	ref, err := hub.ParseRef(arg)
	if err != nil {
		return "", "", usageError{err}
	}
	cfg, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return "", "", err
	}
	var b *bar
	cfg.NoWeights = noWeights
	cfg.Progress = func(done, total int64) {
		if b == nil {
			b = p.bar("pull "+ref.Repo, total, true)
		}
		b.set(done, total)
	}
	s, err := hub.Pull(ctx, ref, cfg)
	if err == nil && b != nil {
		b.done()
	}
	return s.Dir, ref.Name(), err
}
