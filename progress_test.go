package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestProgressInPipe: lines that mean something in a log, and not many of them.
func TestProgressInPipe(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	s := p.stages()
	for i := range 1000 {
		s.report("calibrate", i+1, 1000)
	}
	s.report("compile", 0, 1)
	p.say("note %d", 1)
	s.done()
	b := p.bar("upload", 0, true)
	b.set(5, 10)
	b.done()
	p.stop()
	want := "calibrate ...\ncalibrate 25%\ncalibrate 50%\ncalibrate 75%\ncalibrate 100%\ncompile ...\nnote 1\ncompile done\nupload ...\nupload 50%\nupload done\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
