// Command skiffpeer answers the benchmark with skiff: one bundle, one set of kernels, one
// number of workers. A time is of texts in, vectors out, tokenisation included.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"skiffbench/line"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/runtime/infer"
)

func main() {
	path := flag.String("bundle", "", "`FILE` of the bundle")
	trust := flag.String("trust", "", "`FILE` of the keys it may be signed by")
	var cfg infer.Config
	flag.StringVar(&cfg.Kernels, "kernels", "auto", "what runs the kernels")
	flag.IntVar(&cfg.Workers, "workers", 1, "threads of one answer")
	flag.Parse()
	if err := run(*path, *trust, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "skiffpeer:", err)
		os.Exit(1)
	}
}

func run(path, trustFile string, cfg infer.Config) error {
	ctx := context.Background()
	trust, err := sign.LoadTrust(trustFile)
	if err != nil {
		return err
	}
	b, err := bundle.OpenFile(path, trust)
	if err != nil {
		return err
	}
	defer b.Close()
	start := time.Now()
	m, err := infer.Load(ctx, b, cfg)
	if err != nil {
		return err
	}
	defer m.Close(ctx)
	p := peer{ctx, m}
	hello := line.Answer{Kernels: m.Kernels(), Start: float64(time.Since(start).Microseconds())}
	debug.FreeOSMemory()
	return line.Serve(os.Stdin, os.Stdout, hello, p.do)
}

type peer struct {
	ctx context.Context
	m   *infer.Model
}

func (p peer) do(r line.Request) (line.Answer, error) {
	switch r.Op {
	case "words":
		return line.Answer{Words: p.words(r.Count)}, nil
	case "ids":
		var a line.Answer
		for _, t := range r.Texts {
			a.IDs = append(a.IDs, p.m.IDs(nil, t))
		}
		return a, nil
	case "embed":
		v, err := p.m.Embed(p.ctx, r.Texts)
		return line.Answer{Vectors: v}, err
	case "time":
		return p.time(r)
	case "beside":
		return line.Beside(r.Micros, p.embed(r.Texts), p.embed(r.Second.Texts))
	case "corpus":
		return p.corpus(r.Texts)
	}
	return line.Answer{}, fmt.Errorf("unknown request %q", r.Op)
}

func (p peer) embed(texts []string) func() error {
	return func() error {
		_, err := p.m.Embed(p.ctx, texts)
		return err
	}
}

// time adds how many heap objects a call makes.
func (p peer) time(r line.Request) (line.Answer, error) {
	f := p.embed(r.Texts)
	a, err := line.Time(r.Micros, f)
	if err != nil {
		return a, err
	}
	if a.Micros < 1e5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 8 {
			if err := f(); err != nil {
				return a, err
			}
		}
		runtime.ReadMemStats(&after)
		objects := float64(after.Mallocs-before.Mallocs) / 8
		a.Allocs = &objects
	}
	return a, nil
}

// batch is how many sentences of a corpus are given at once, as they come.
const batch = 32

func (p peer) corpus(texts []string) (line.Answer, error) {
	start := time.Now()
	for lo := 0; lo < len(texts); lo += batch {
		if _, err := p.m.Embed(p.ctx, texts[lo:min(lo+batch, len(texts))]); err != nil {
			return line.Answer{}, err
		}
	}
	return line.Answer{Seconds: time.Since(start).Seconds()}, nil
}

// words lists words of the vocabulary that are one token each, spread over it.
func (p peer) words(n int) []string {
	var all []string
	tok := p.m.Tokenizer()
	for id := range tok.VocabSize() {
		w, ok := tok.Token(int32(id))
		plain := ok && len(w) >= 3 && strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") == ""
		if plain && p.m.Tokens(w) == 3 {
			all = append(all, w)
		}
	}
	var out []string
	for i := range min(n, len(all)) {
		out = append(out, all[i*len(all)/min(n, len(all))])
	}
	return out
}
