package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"skiffbench/line"
)

// Names of scenes.
const (
	coldName    = "Cold process to first answer"
	memoryName  = "Peak memory after 100 sentences"
	corpusName  = "Sentences of the corpus, 32 at a time, text to vector"
	besideName  = "One sentence of 32 tokens while another stream asks 128, median"
	beside90    = "The same, 90th percentile"
	coldThreads = 1
)

func newScene(name, unit string, more bool) scene {
	return scene{Name: name, Unit: unit, More: more, Values: map[string]series{}}
}

// names are the peers of a scene, in order.
func (s scene) names() []string { return slices.Sorted(maps.Keys(s.Values)) }

func (s scene) add(peer string, v float64) { s.Values[peer] = append(s.Values[peer], v) }

// allScenes runs every scene; one that breaks is missing, the others go on.
func (b *bench) allScenes(ctx context.Context) {
	for _, s := range []struct {
		name string
		run  func(context.Context) ([]scene, error)
	}{
		{corpusName, b.corpus}, {besideName, b.beside}, {coldName, b.cold}, {memoryName, b.memory}, {"profiles", b.profiles},
	} {
		begin := time.Now()
		found, err := s.run(ctx)
		if err != nil {
			b.miss(s.name, err)
		}
		b.result.Scenes = append(b.result.Scenes, found...)
		fmt.Fprintf(b.log, "%s: %.0f s\n", s.name, time.Since(begin).Seconds())
	}
}

// sentences are those of STS-B's dev set, or, without it, as many made of words.
func (b *bench) sentencesOf() (texts []string, err error) {
	file, err := os.Open(shared + "/data/stsb-dev.csv")
	if err != nil || !b.model.real {
		fmt.Fprintln(b.log, "no STS-B sentences: sentences of 8 to 40 words in their place")
		for i := range 1024 {
			r, err := b.request("", 8+i*7919%33, 1)
			if err != nil {
				return nil, err
			}
			texts = append(texts, r.Texts[0])
		}
	} else {
		defer file.Close()
		rows, err := csv.NewReader(bufio.NewReader(file)).ReadAll()
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			texts = append(texts, r[0], r[1])
		}
	}
	if b.sentences > 0 {
		texts = texts[:min(len(texts), b.sentences)]
	}
	return texts, nil
}

// corpus counts sentences a second. Ours takes them as they come, onnxruntime sorted by
// length; both from text to vector, tokenisation included.
func (b *bench) corpus(ctx context.Context) ([]scene, error) {
	s := newScene(corpusName, "sentences a second", true)
	texts, err := b.sentencesOf()
	if err != nil {
		return nil, err
	}
	for round := range b.corpora {
		for _, p := range b.peers {
			if p.slow || !p.Ours && !isORT(p.Name) || ctx.Err() != nil {
				continue
			}
			if round == 0 { // what is read and compiled once is not the corpus's
				if _, err := p.child.ask(line.Request{Op: "corpus", Texts: texts[:64]}); err != nil {
					return nil, fmt.Errorf("%s: %w", p.Name, err)
				}
			}
			a, err := p.child.ask(line.Request{Op: "corpus", Texts: texts})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			s.add(p.Name, float64(len(texts))/a.Seconds)
		}
	}
	return []scene{s}, nil
}

// isORT says whether a peer is onnxruntime proper.
func isORT(name string) bool { return len(name) > 12 && name[:12] == "onnxruntime " }

// beside measures one stream while another asks for longer sentences, in the same process:
// in ours the two share the workers and take turns, in onnxruntime they run side by side.
func (b *bench) beside(ctx context.Context) ([]scene, error) {
	s, s90 := newScene(besideName, "ms", false), newScene(beside90, "ms", false)
	r, err := b.request("beside", 32, 1)
	if err != nil {
		return nil, err
	}
	second, err := b.request("", 128, 1)
	if err != nil {
		return nil, err
	}
	r.Second, r.Micros = &second, 8*b.micros
	for range b.streams {
		for _, p := range b.peers {
			if p.slow || !p.Ours && !isORT(p.Name) || ctx.Err() != nil {
				continue
			}
			a, err := p.child.ask(r)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			s.add(p.Name, a.Micros/1e3)
			s90.add(p.Name, a.P90/1e3)
		}
	}
	return []scene{s, s90}, nil
}

// cold starts processes. Ours is the device's daemon with the bundle in its store, from the
// start of the process to the end of its first answer over HTTP; onnxruntime counts from
// after its imports to its first answer, without Python's start.
func (b *bench) cold(ctx context.Context) ([]scene, error) {
	s := newScene(coldName, "ms", false)
	if err := b.install(ctx); err != nil {
		return nil, fmt.Errorf("install the bundle: %w", err)
	}
	for round := range b.starts + 1 {
		for _, p := range b.peers {
			var d float64
			var err error
			switch {
			case p.Threads != coldThreads || ctx.Err() != nil:
				continue
			case p.Ours:
				d, err = b.coldSkiff(ctx, p)
			default:
				d, err = b.coldPeer(ctx, p)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			if round > 0 { // the first start without a broker proves the bundle once more
				s.add(p.Name, d)
			}
		}
	}
	return []scene{s}, nil
}

func (b *bench) coldPeer(ctx context.Context, p *peer) (float64, error) {
	c, err := startChild(ctx, b.env, p.argv...)
	if err != nil {
		return 0, err
	}
	return c.hello.Start / 1e3, c.close()
}

// memory gives each process 100 sentences one by one and asks for its peak. Ours is the
// device's daemon, over HTTP.
func (b *bench) memory(ctx context.Context) ([]scene, error) {
	s := newScene(memoryName, "MB", false)
	texts, err := b.sentencesOf()
	if err != nil {
		return nil, err
	}
	texts = texts[:100]
	for _, p := range b.peers {
		if p.slow || p.Threads != coldThreads {
			continue
		}
		bytes := math.NaN()
		if p.Ours {
			bytes, err = b.serving(ctx, p, texts)
		} else {
			bytes, err = b.peerMemory(ctx, p, texts)
		}
		if err != nil {
			return []scene{s}, fmt.Errorf("%s: %w", p.Name, err)
		}
		s.add(p.Name, bytes/1e6)
	}
	return []scene{s}, nil
}

func (b *bench) peerMemory(ctx context.Context, p *peer, texts []string) (float64, error) {
	c, err := startChild(ctx, b.env, p.argv...)
	if err != nil {
		return 0, err
	}
	defer c.close()
	var ids line.Answer
	for _, ours := range b.peers {
		if ours.Ours {
			if ids, err = ours.child.ask(line.Request{Op: "ids", Texts: texts}); err != nil {
				return 0, err
			}
			break
		}
	}
	for i := range texts {
		if _, err := c.ask(line.Request{Op: "embed", Texts: texts[i : i+1], IDs: ids.IDs[i : i+1]}); err != nil {
			return 0, err
		}
	}
	return peak(c.cmd.Process.Pid)
}

// profiles asks skiff bench for each set of kernels.
func (b *bench) profiles(ctx context.Context) ([]scene, error) {
	for _, p := range b.peers {
		if !p.Ours || p.Threads != 1 {
			continue
		}
		cmd := exec.CommandContext(ctx, filepath.Join(installed, "skiff"), "bench", b.model.bundle, "--trust", b.model.trust,
			"--kernels", p.Kernels, "--workers", "1", "--tokens", "128", "--json")
		cmd.Env = append(os.Environ(), b.env...)
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		var found profile
		if err := json.Unmarshal(out, &found); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		b.result.profiles[p.Kernels] = found
	}
	return nil, nil
}
