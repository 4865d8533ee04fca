package match_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/packager/graph"
	"skiff/packager/importer"
)

// TestSameAsFolder compares what is read from an ONNX file with what is read from the
// folder that it was exported from: the same operations in the same order, on the same
// numbers.
func TestSameAsFolder(t *testing.T) {
	for _, path := range fixtures(t) {
		if filepath.Base(path) != "model.onnx" {
			continue
		}
		t.Run(shortName(path), func(t *testing.T) {
			g, _ := build(t, open(t, path))
			m, err := importer.Open(context.Background(), filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			answer := m.Answer
			if m.Task == graph.TaskEmbed && g.Task == graph.TaskEncode {
				answer = m.Last
			}
			if diff := cmp.Diff(outline(m, m.Needed(answer)), outline(g, g.Needed(g.Answer))); diff != "" {
				t.Errorf("folder -, file +:\n%s", diff)
			}
		})
	}
}

// outline lists operations with what they are of, but for names and order: what an
// operation reads is told by a digest of what made it.
func outline(m *graph.Model, ops []graph.Op) []string {
	var lines []string
	made := map[graph.ID]string{}
	for _, op := range ops {
		var in []string
		for _, id := range op.Reads() {
			in = append(in, made[id])
		}
		text := fmt.Sprintf("%s(%s) %v", op.Kind(), strings.Join(in, ","), m.Values[op.Makes()])
		switch o := op.(type) {
		case *graph.Linear:
			text += fmt.Sprintf(" %v %x %x", o.Act, digest(o.W.Weight), digest(o.W.Bias))
		case *graph.Norm:
			text += fmt.Sprintf(" %v %x %x", o.W.Kind, digest(o.W.Gain), digest(o.W.Bias))
			if o.W.Kind == graph.LayerNorm {
				text += fmt.Sprintf(" %g", o.W.Eps)
			}
		case *graph.Attention:
			text += fmt.Sprintf(" %d %d %g %d %T", o.Heads, o.HeadSize, o.Scale, o.Window, o.Relative)
		case *graph.Embed:
			for _, l := range o.Lookups {
				text += fmt.Sprintf(" %v %d %v %x", l.By, l.Offset, l.Pad, digest(l.Table.Data))
			}
		}
		lines = append(lines, text)
		made[op.Makes()] = fmt.Sprintf("%.4x", sha256.Sum256([]byte(text)))
	}
	slices.Sort(lines)
	return lines
}
