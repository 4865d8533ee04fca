// Command bench runs skiff and its peers on one model, in interleaved rounds of one run, and
// prints medians, spreads and ratios: an absolute time says as much about the machine and
// the hour as about the program, a median of ratios taken side by side says which is faster.
//
// Every peer is a process of its own that lives through the run (package line). A round asks
// each in turn for the same sentences. Then come scenes: cold starts, memory of a serving
// process, a corpus of sentences, one stream beside another, and what skiff's own profile
// says. The result is a table, a table of targets, JSON and an SVG chart.
//
// It is a module of its own, so that peers are no dependencies of skiff.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

// options is what is measured.
type options struct {
	lengths   []int
	rounds    int // of one sentence
	rounds32  int // of 32
	micros    int // of one measurement
	corpora   int // rounds of the corpus
	sentences int // of the corpus; 0 for all
	starts    int // cold starts of each
	streams   int // rounds of two streams
	scenes    bool
	builtin   bool
	out       string
	only      string
}

func main() {
	o, quick, lengths := options{}, false, ""
	flag.BoolVar(&quick, "quick", false, "one or two minutes: fewer rounds, lengths and sentences")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds of one sentence (default 11, quick 3)")
	flag.IntVar(&o.rounds32, "rounds32", -1, "rounds of 32 sentences (default 3, quick 1)")
	flag.StringVar(&lengths, "lengths", "", "tokens of a sentence (default 8,16,32,64,128,256, quick 8,32,128)")
	flag.IntVar(&o.micros, "us", 0, "microseconds of one measurement (default 50000, quick 30000)")
	flag.BoolVar(&o.scenes, "scenes", true, "also starts, memory, corpus, streams and profiles")
	flag.BoolVar(&o.builtin, "builtin", false, "the built-in model even where ../shared has the real MiniLM")
	flag.StringVar(&o.only, "only", "", "comma-separated parts of the names of peers to run")
	flag.StringVar(&o.out, "out", "out", "`FOLDER` for results.json and chart.svg")
	flag.Parse()
	o.fill(quick)
	if err := o.parse(lengths); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// fill sets what was not asked for.
func (o *options) fill(quick bool) {
	d := options{rounds: 11, rounds32: 3, micros: 50000, corpora: 3, starts: 9, streams: 5, lengths: []int{8, 16, 32, 64, 128, 256}}
	if quick {
		d = options{rounds: 3, rounds32: 1, micros: 30000, corpora: 1, sentences: 512, starts: 3, streams: 2, lengths: []int{8, 32, 128}}
	}
	if o.rounds <= 0 {
		o.rounds = d.rounds
	}
	if o.rounds32 < 0 {
		o.rounds32 = d.rounds32
	}
	if o.micros <= 0 {
		o.micros = d.micros
	}
	o.corpora, o.sentences, o.starts, o.streams, o.lengths = d.corpora, d.sentences, d.starts, d.streams, d.lengths
}

func (o *options) parse(lengths string) error {
	if lengths == "" {
		return nil
	}
	o.lengths = nil
	for _, s := range strings.Split(lengths, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 3 || n > 256 {
			return fmt.Errorf("length %q: want 3 to 256", s)
		}
		o.lengths = append(o.lengths, n)
	}
	return nil
}

// run measures everything and writes the results.
func run(ctx context.Context, o options, out io.Writer) error {
	begin := time.Now()
	b, err := prepare(ctx, o, os.Stderr)
	if err != nil {
		return err
	}
	defer b.close()
	b.begin(ctx)
	if err := b.agree(); err != nil {
		return err
	}
	for _, batch := range []int{1, 32} {
		if err := b.cases(ctx, batch); err != nil {
			return err
		}
	}
	if o.scenes {
		b.allScenes(ctx)
	}
	b.result.Seconds = time.Since(begin).Seconds()
	b.result.evaluate()
	b.result.write(out)
	return b.result.save(o.out)
}
