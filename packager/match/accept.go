package match

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"skiff/packager/graph"
)

// bound is how far a model may be from its graph, relative to max(1, largest value).
const bound = 1e-4

// work is about how many multiplications a comparison may take.
const work = 2.5e9

// accept compares what g computes with what the graph does, on random texts.
func (s *source) accept(ctx context.Context, g *graph.Model, outs []*output, report *Report) error {
	ref, rng := g.Reference(), rand.New(rand.NewPCG(1, 2))
	for _, n := range lengths(g) {
		t := randomText(rng, g, n)
		feeds := map[string]*array{}
		for _, in := range s.inputs {
			feeds[in.name] = in.fill(t)
		}
		var names []string
		var want []graph.ID
		for _, o := range outs {
			if id, ok := outputID(g, o); ok {
				names, want = append(names, o.name), append(want, id)
			}
		}
		theirs, err := s.session.Run(ctx, feeds, names...)
		if err != nil {
			return fmt.Errorf("run the graph on %d tokens: %w", n, err)
		}
		ours, err := ref.Run(words32(t.ids), words32(t.types), nil, want...)
		if err != nil {
			return fmt.Errorf("run the model on %d tokens: %w", n, err)
		}
		i := 0
		for _, o := range outs {
			if _, ok := outputID(g, o); !ok {
				continue
			}
			d := distance(finished(o, ours[i]), theirs[o.name])
			i++
			report.Diff = max(report.Diff, d)
			if !(d <= bound) {
				return s.unequal(o.name, n, d)
			}
		}
		report.Lengths = append(report.Lengths, n)
	}
	return nil
}

// unequal is the error of an output that differs by d on n tokens.
func (s *source) unequal(output string, n int, d float64) error {
	e := &Unequal{Output: output, Tokens: n, Diff: d, Bound: bound}
	if maker := s.made[output]; maker != nil {
		e.Near = append(s.near(maker), maker.Op+" "+labelOf(maker))
	}
	return e
}

// outputID is the value of g that an output is, or is a column of.
func outputID(g *graph.Model, o *output) (graph.ID, bool) {
	switch o.role {
	case outHidden:
		return g.Last, true
	case outPooler:
		return g.Pooler, true
	case outAnswer, outStart, outEnd:
		return g.Answer, true
	}
	return 0, false
}

// finished is our value as the graph gives it out.
func finished(o *output, v []float32) []float32 {
	if o.role == outStart || o.role == outEnd {
		out := make([]float32, len(v)/2)
		for i := range out {
			out[i] = v[2*i]
			if o.role == outEnd {
				out[i] = v[2*i+1]
			}
		}
		v = out
	}
	switch o.post {
	case "sigmoid":
		f := graph.Sigmoid.Func()
		out := make([]float32, len(v))
		for i, x := range v {
			out[i] = float32(f(float64(x)))
		}
		return out
	case "softmax":
		return softmaxRows(v, o.a.cols)
	}
	return v
}

func softmaxRows(v []float32, cols int) []float32 {
	out := make([]float32, len(v))
	for at := 0; at < len(v); at += cols {
		top, sum := math.Inf(-1), 0.0
		for _, x := range v[at:][:cols] {
			top = max(top, float64(x))
		}
		for _, x := range v[at:][:cols] {
			sum += math.Exp(float64(x) - top)
		}
		for i, x := range v[at:][:cols] {
			out[at+i] = float32(math.Exp(float64(x)-top) / sum)
		}
	}
	return out
}

// distance is the largest difference, relative to max(1, largest value).
func distance(ours []float32, theirs *array) float64 {
	if theirs == nil || len(ours) != theirs.Len() {
		return math.Inf(1)
	}
	top, worst := 1.0, 0.0
	for i := range ours {
		top = max(top, math.Abs(number(theirs, i)))
	}
	for i, x := range ours {
		d := math.Abs(float64(x) - number(theirs, i))
		if !(d <= worst) {
			worst = d
		}
	}
	return worst / top
}

// lengths are those of the texts that are compared: a token alone, a few, and as many as
// show windows, where that does not take long.
func lengths(g *graph.Model) []int {
	size := 0.0
	for _, l := range graph.Linears(g.Needed(g.Answer)) {
		size += float64(l.In) * float64(l.Out)
	}
	list, sum := []int{}, 0
	window := 0
	for _, op := range g.Ops {
		if a, ok := op.(*graph.Attention); ok {
			window = max(window, a.Window)
		}
	}
	for _, n := range []int{1, 7, 12, 19, window + 5, 40, 150} {
		if n > g.MaxPositions || len(list) > 1 && (float64(sum+n)*size > work || n <= list[len(list)-1]) {
			continue
		}
		list, sum = append(list, n), sum+n
	}
	return list
}

// randomText is n tokens of any id, the id of padding among them, and any type.
func randomText(rng *rand.Rand, g *graph.Model, n int) text {
	t := text{ids: make([]int64, n), types: make([]int64, n)}
	for i := range n {
		t.ids[i] = rng.Int64N(int64(g.Vocab))
		if g.Types > 1 {
			t.types[i] = rng.Int64N(int64(g.Types))
		}
	}
	for _, op := range g.Ops {
		e, ok := op.(*graph.Embed)
		if !ok {
			continue
		}
		for _, l := range e.Lookups {
			if l.Pad && n > 2 && int(l.PadID) < g.Vocab {
				t.ids[n/2] = int64(l.PadID)
			}
		}
	}
	return t
}

func words32(v []int64) []int32 {
	out := make([]int32, len(v))
	for i, x := range v {
		out[i] = int32(x)
	}
	return out
}
