package match

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// weights are those of a linear layer, as the file has them.
type weights struct {
	m    *matrix    // seen as [in][out]
	cols []int      // the outputs are these columns of m; nil for all
	join []*weights // instead of m: the outputs of several layers, one after another
	bias []float32  // [out]; nil for none
	// integer: m has codes that were multiplied as they are; scale, by output, is
	// what the sums were then multiplied with, nil before that.
	integer bool
	scale   []float32
}

// in and out are the numbers of columns read and made.
func (w *weights) in() int {
	if w.join != nil {
		return w.join[0].in()
	}
	return w.m.dims()[0]
}

func (w *weights) out() int {
	switch {
	case w.join != nil:
		n := 0
		for _, p := range w.join {
			n += p.out()
		}
		return n
	case w.cols != nil:
		return len(w.cols)
	}
	return w.m.dims()[1]
}

// key tells weights apart.
func (w *weights) key() string {
	if w.join != nil {
		var keys []string
		for _, p := range w.join {
			keys = append(keys, p.key())
		}
		return "[" + strings.Join(keys, " ") + "]" + digestFloats(w.bias)
	}
	cols := "all"
	if w.cols != nil {
		h := uint64(1)
		for _, c := range w.cols {
			h = mix(h, uint64(c))
		}
		cols = fmt.Sprintf("%d.%x", len(w.cols), h)
	}
	return fmt.Sprintf("%s(%s)%s%v%s", w.m.key(), cols, digestFloats(w.bias), w.integer, digestFloats(w.scale))
}

// biased is w with a bias.
func (w *weights) biased(bias []float32) *weights {
	b := *w
	b.bias = bias
	return &b
}

// scaled is w, of integers, with the scale of its outputs.
func (w *weights) scaled(scale []float32) *weights {
	s := *w
	s.scale = scale
	return &s
}

// pick is the layer that makes columns cols of w's; they may repeat.
func (w *weights) pick(cols []int) *weights {
	if own(cols, w.out()) {
		return w
	}
	p := *w
	if w.join != nil {
		return w.pickJoined(cols)
	}
	p.cols = make([]int, len(cols))
	for i, c := range cols {
		p.cols[i] = c
		if w.cols != nil {
			p.cols[i] = w.cols[c]
		}
	}
	p.bias = chosen(w.bias, cols)
	p.scale = chosen(w.scale, cols)
	return &p
}

// pickJoined is pick for layers side by side: runs of columns of one of them at a time.
func (w *weights) pickJoined(cols []int) *weights {
	var parts []*weights
	for len(cols) > 0 {
		first, part := 0, (*weights)(nil)
		for _, p := range w.join {
			if cols[0] < first+p.out() {
				part = p
				break
			}
			first += p.out()
		}
		var run []int
		for len(cols) > 0 && cols[0] >= first && cols[0] < first+part.out() {
			run = append(run, cols[0]-first)
			cols = cols[1:]
		}
		parts = append(parts, part.pick(run))
	}
	return joined(parts...)
}

// joined is the layer that makes what parts make, side by side.
func joined(parts ...*weights) *weights {
	if len(parts) == 1 {
		return parts[0]
	}
	if p := parts[0]; sameMatrix(parts) {
		all := *p
		all.cols, all.bias, all.scale = nil, nil, nil
		for _, q := range parts {
			all.cols = append(all.cols, q.columns()...)
			all.bias = append(all.bias, q.bias...)
			all.scale = append(all.scale, q.scale...)
		}
		if own(all.cols, p.m.dims()[1]) {
			all.cols = nil
		}
		return &all
	}
	return &weights{join: parts}
}

// sameMatrix reports whether parts are columns of one matrix.
func sameMatrix(parts []*weights) bool {
	p := parts[0]
	for _, q := range parts {
		if q.join != nil || q.m.key() != p.m.key() || q.integer != p.integer || (q.bias == nil) != (p.bias == nil) || (q.scale == nil) != (p.scale == nil) {
			return false
		}
	}
	return true
}

// columns are the columns of m that w makes.
func (w *weights) columns() []int {
	if w.cols != nil {
		return w.cols
	}
	all := make([]int, w.out())
	for i := range all {
		all[i] = i
	}
	return all
}

// own reports whether cols are all of n, in order.
func own(cols []int, n int) bool {
	if len(cols) != n {
		return false
	}
	for i, c := range cols {
		if i != c {
			return false
		}
	}
	return true
}

// chosen is v at cols, nil for nil.
func chosen(v []float32, cols []int) []float32 {
	if v == nil {
		return nil
	}
	out := make([]float32, len(cols))
	for i, c := range cols {
		out[i] = v[c]
	}
	return out
}

func floatBits(x float32) uint32 { return math.Float32bits(x) }

// zeros reports whether all of v are 0.
func zeros(v []float32) bool { return !slices.ContainsFunc(v, func(x float32) bool { return x != 0 }) }
