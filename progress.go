package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// progress tells how far work has come: bars on a terminal, plain lines in a pipe
// (each bar says when it starts, at every quarter, and when it is done). Its
// methods may be called from several goroutines.
type progress struct {
	out  io.Writer
	bars *mpb.Progress // nil in a pipe

	mu sync.Mutex // guards writes to out
}

// newProgress writes to w, and draws bars when w is a terminal.
func newProgress(w io.Writer) *progress {
	p := &progress{out: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bars = mpb.New(mpb.WithOutput(f), mpb.WithWidth(40))
	}
	return p
}

// say prints a line, above the bars where there are any.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.out
	if p.bars != nil {
		out = p.bars
	}
	fmt.Fprintf(out, format+"\n", args...)
}

// stop finishes all bars and leaves the cursor below them. Bars that did not
// come to their end are removed.
func (p *progress) stop() {
	if p.bars != nil {
		p.bars.Shutdown()
	}
}

// bar is one piece of work.
type bar struct {
	p     *progress
	name  string
	drawn *mpb.Bar // nil in a pipe

	mu      sync.Mutex // guards what follows
	total   int64
	quarter int64
}

// bar starts a piece of work of total units; bytes says that they are bytes.
func (p *progress) bar(name string, total int64, bytes bool) *bar {
	b := &bar{p: p, name: name, total: total}
	if p.bars == nil {
		p.say("%s ...", name)
		return b
	}
	counter := decor.CountersNoUnit(" %d / %d")
	if bytes {
		counter = decor.CountersKiloByte(" % .1f / % .1f")
	}
	b.drawn = p.bars.AddBar(total,
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.NewPercentage("%3d"), counter))
	return b
}

// set says that done units of total are done.
func (b *bar) set(done, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drawn != nil {
		if total != b.total {
			b.total = total
			b.drawn.SetTotal(total, false)
		}
		b.drawn.SetCurrent(done)
		return
	}
	b.total = total
	if total <= 0 {
		return
	}
	if q := 4 * done / total; q > b.quarter {
		b.quarter = q
		b.p.say("%s %d%%", b.name, 25*q)
	}
}

// done ends the work; note, if any, stays beside its name in a pipe.
func (b *bar) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drawn != nil {
		b.drawn.SetTotal(-1, true)
		return
	}
	if b.quarter < 4 {
		b.p.say("%s done", b.name)
	}
}

// stages shows work that comes in steps of unknown number, each a bar. Not for
// concurrent use.
type stages struct {
	p    *progress
	name string
	bar  *bar
}

func (p *progress) stages() *stages { return &stages{p: p} }

// report says how far the named step is; a new name ends the step before.
func (s *stages) report(name string, done, total int) {
	if name != s.name {
		s.done()
		s.name, s.bar = name, s.p.bar(name, int64(total), false)
	}
	s.bar.set(int64(done), int64(total))
}

// done ends the last step.
func (s *stages) done() {
	if s.bar != nil {
		s.bar.done()
	}
}
