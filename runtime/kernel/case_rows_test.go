package kernel

import (
	"testing"
)

// rowCase is a case of a kernel over dense rows: some inputs, vectors, one output.
func (w *workspace) rowCase(t testing.TB, k *Kernel, err error, m int, in []int, vectors []int, out int) testCase {
	var args []uint32
	for _, h := range in {
		args = append(args, w.rows(m, h, 4*pad16(h)))
	}
	for _, h := range vectors {
		args = append(args, w.floats(h, w.float))
	}
	return w.finish(t, k, err, m, 1, append(args, w.dirty(m*4*pad16(out)))...)
}

func (w *workspace) norm(t testing.TB, m, h int) testCase {
	k, err := NewNorm(h, 1e-5)
	return w.rowCase(t, k, err, m, []int{h}, []int{h, h}, h)
}

func (w *workspace) noNorm(t testing.TB, m, h int, residual bool) testCase {
	k, err := NewNoNorm(h, residual)
	in := []int{h}
	if residual {
		in = append(in, h)
	}
	return w.rowCase(t, k, err, m, in, []int{h, h}, h)
}

func (w *workspace) add(t testing.TB, m, h int) testCase {
	k, err := NewAdd(h)
	return w.rowCase(t, k, err, m, []int{h, h}, nil, h)
}

func (w *workspace) activation(t testing.TB, m, h int, act Act) testCase {
	k, err := NewActivation(h, act)
	return w.rowCase(t, k, err, m, []int{h}, nil, h)
}

func (w *workspace) glu(t testing.TB, m, f int, act Act) testCase {
	k, err := NewGLU(f, act)
	return w.rowCase(t, k, err, m, []int{2 * f}, nil, f)
}

// inPlace makes the last argument, the output, the first.
func (c testCase) inPlace() testCase {
	c.args = append([]uint32(nil), c.args...)
	c.args[len(c.args)-1] = c.args[0]
	return c
}

func (w *workspace) lookup(t testing.TB, n, m, h int) testCase {
	k, err := NewLookup(n, h)
	var args []uint32
	for i := range n {
		rows := []int{50, 3, 7}[i]
		codes := w.take(rows * pad16(h))
		for r := range rows {
			for c := range h {
				w.mem[int(codes)+r*pad16(h)+c] = w.code(w.kind)
			}
		}
		index := w.take(4 * max(m, 1))
		for r := range m {
			w.putI32(index, r, w.intn(rows+1)) // now and then one past the end
		}
		args = append(args, index, codes, w.floats(rows, w.scale), uint32(rows))
	}
	return w.finish(t, k, err, m, 1, append(args, w.dirty(m*4*pad16(h)))...)
}

func (w *workspace) trigram(t testing.TB, h int, lengths []int) testCase {
	k, err := NewTrigram(h)
	starts, tokens := w.starts(lengths)
	x := w.rows(tokens, h, 4*pad16(h))
	return w.finish(t, k, err, tokens, len(lengths), x, starts, w.dirty(tokens*4*pad16(3*h)))
}

func (w *workspace) pool(t testing.TB, p Pool, h int, lengths []int) testCase {
	k, err := NewPool(p, h)
	starts, tokens := w.starts(lengths)
	stride, outStride := 4*pad16(h)+64*w.intn(2), 4*pad16(h)+64*w.intn(2)
	x := w.rows(tokens, h, stride)
	return w.finish(t, k, err, tokens, len(lengths), x, uint32(stride), starts, w.dirty(len(lengths)*outStride), uint32(outStride))
}

// poolAfter is a pool whose sequences skip some rows, none, all, or more than there are.
func (w *workspace) poolAfter(t testing.TB, p Pool, h int, lengths []int) testCase {
	k, err := NewPoolAfter(p, h)
	starts, tokens := w.starts(lengths)
	skips := w.take(4 * len(lengths))
	for s, n := range lengths {
		w.putI32(skips, s, w.intn(n+3))
	}
	stride, outStride := 4*pad16(h)+64*w.intn(2), 4*pad16(h)+64*w.intn(2)
	x := w.rows(tokens, h, stride)
	return w.finish(t, k, err, tokens, len(lengths), x, uint32(stride), starts, w.dirty(len(lengths)*outStride), uint32(outStride), skips)
}

func (w *workspace) concat(t testing.TB, n, h, seqs int) testCase {
	k, err := NewConcat(n, h)
	x := w.rows(n*seqs, h, 4*pad16(h))
	return w.finish(t, k, err, seqs, seqs, x, w.dirty(seqs*4*pad16(n*h)))
}
