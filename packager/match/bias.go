package match

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"skiff/formats/tensor"
	"skiff/packager/graph"
)

// bias is graph.Bias, with its table in the file.
type bias struct {
	table             *matrix // seen as [rows][heads]
	buckets, distance int
}

// farthest is the largest distance at which buckets are thought to end.
const farthest = 1024

// biasOf finds the table that a bias by distance comes from, and its buckets.
func (w *walk) biasOf(r *readScores) (*bias, error) {
	if r.bias == nil {
		return nil, nil
	}
	h := uint64(r.heads)
	for _, v := range r.bias {
		h = mix(h, math.Float64bits(v))
	}
	key := fmt.Sprint(r.heads, h)
	if b := w.biases[key]; b != nil {
		return b, nil
	}
	b := w.findBias(r)
	if b == nil {
		return nil, fmt.Errorf("a bias by distance is added to scores, but no table of [buckets, %d heads] explains it", r.heads)
	}
	w.biases[key] = b
	return b, nil
}

// findBias tries every table that has a column or row for each head; nil where none fits.
func (w *walk) findBias(r *readScores) *bias {
	var names []string
	for name, v := range w.consts {
		if len(v.Shape) == 2 && (v.Shape[0] == r.heads || v.Shape[1] == r.heads) && v.Len() <= r.heads*4*farthest && v.DType != tensor.I64 && v.DType != tensor.I32 {
			names = append(names, name)
		}
	}
	tables, content := slices.Clone(w.coded), map[*matrix]string{}
	for _, name := range names {
		k, err := w.constant(name, w.consts[name])
		if err != nil || k.mat == nil {
			continue
		}
		tables = append(tables, k.mat)
	}
	for _, m := range tables {
		if a, err := m.stored(); err == nil {
			content[m] = digest(a)
		}
	}
	// In an order that does not depend on names.
	slices.SortStableFunc(tables, func(a, b *matrix) int { return cmp.Compare(content[a], content[b]) })
	for _, table := range tables {
		for _, m := range []*matrix{table, table.flipped()} {
			if m.dims()[1] != r.heads {
				continue
			}
			if b := r.fit(m); b != nil {
				return b
			}
		}
	}
	return nil
}

// fit finds the buckets with which m gives the bias; nil where there are none.
func (r *readScores) fit(m *matrix) *bias {
	a, err := m.array()
	if err != nil || !a.Float() {
		return nil
	}
	rows := m.dims()[0]
	near := func(delta, row int) bool {
		for h := range r.heads {
			x, y := r.bias[h*(2*r.tokens-1)+delta+r.tokens-1], float64(a.F[row*r.heads+h])
			if math.Abs(x-y) > 1e-6*max(1, math.Abs(y)) {
				return false
			}
		}
		return true
	}
	for _, buckets := range bucketCounts(rows) {
		for _, distance := range append([]int{128}, upTo(buckets/4+1, farthest)...) {
			g := &graph.Bias{Buckets: buckets, MaxDistance: distance}
			if distance <= buckets/4 {
				continue
			}
			fits := true
			for delta := 1 - r.tokens; delta < r.tokens && fits; delta++ {
				row := g.Bucket(delta)
				fits = row < rows && near(delta, row)
			}
			if fits {
				return &bias{table: m, buckets: buckets, distance: distance}
			}
		}
	}
	return nil
}

// bucketCounts are the numbers of buckets that a table of so many rows may have, the
// likely ones first.
func bucketCounts(rows int) []int {
	counts := []int{rows}
	for n := rows - 1; n >= 4; n-- {
		if n%2 == 0 {
			counts = append(counts, n)
		}
	}
	return slices.DeleteFunc(counts, func(n int) bool { return n < 4 || n > rows })
}

// upTo lists the numbers from low to high.
func upTo(low, high int) []int {
	var out []int
	for n := low; n <= high; n++ {
		out = append(out, n)
	}
	return out
}
