package native

import (
	"math"
	"unsafe"

	"skiff/runtime/kernel"
)

// goFloatOps are the primitives in Go, one operation at a time: what each set's assembly
// must equal bit for bit. lanes is the width of its registers.
func goFloatOps(lanes int, tiles ...int) floatOps {
	o := floatOps{
		panel: 2 * lanes, tiles: tiles,
		add: goAdd, mul: goMul, divide: goDivide, affine: goAffine, norm: goNorm, softmax: goSoftmax,
		setCodes: goSetCodes, addCodes: goAddCodes,
	}
	o.packKeys = func(dst, src *float32, stride uintptr, n, d int) { goPackKeys(o.panel, dst, src, stride, n, d) }
	o.packValues = func(dst, src *float32, stride uintptr, n, d int) { goPackValues(o.panel, dst, src, stride, n, d) }
	o.product = func(out *float32, outStride uintptr, a *float32, aStride uintptr, b *float32, k, rows, panels int, scale *float32) {
		goProduct(o.panel, out, outStride, a, aStride, b, k, rows, panels, scale)
	}
	for act := kernel.ActGELU; act <= kernel.ActSigmoid; act++ {
		o.act[act] = goAct(act)
	}
	return o
}

// row is row i of n floats of a matrix.
func row(m *float32, stride uintptr, i, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(m), uintptr(i)*stride)), n)
}

func goAdd(dst, x, y *float32, n int) {
	d, a, b := row(dst, 0, 0, n), row(x, 0, 0, n), row(y, 0, 0, n)
	for i := range d {
		d[i] = a[i] + b[i]
	}
}

func goMul(dst, x, y *float32, n int) {
	d, a, b := row(dst, 0, 0, n), row(x, 0, 0, n), row(y, 0, 0, n)
	for i := range d {
		d[i] = a[i] * b[i]
	}
}

func goDivide(dst, x *float32, by float32, n int) {
	d, a := row(dst, 0, 0, n), row(x, 0, 0, n)
	for i := range d {
		d[i] = a[i] / by
	}
}

func goAffine(dst, x, gain, bias *float32, n int) {
	d, a, g, b := row(dst, 0, 0, n), row(x, 0, 0, n), row(gain, 0, 0, n), row(bias, 0, 0, n)
	for i := range d {
		d[i] = float32(a[i]*g[i]) + b[i]
	}
}

func goSetCodes(dst *float32, codes *int8, zero int32, scale float32, n int) {
	d, c := row(dst, 0, 0, n), unsafe.Slice(codes, n)
	for i := range d {
		d[i] = float32(int32(c[i])-zero) * scale
	}
}

func goAddCodes(dst *float32, codes *int8, zero int32, scale float32, n int) {
	d, c := row(dst, 0, 0, n), unsafe.Slice(codes, n)
	for i := range d {
		d[i] += float32(float32(int32(c[i])-zero) * scale)
	}
}

// goSum is 16 partial sums and their tree.
func goSum(x []float32) float32 {
	var p [16]float32
	for i, v := range x {
		p[i%16] += v
	}
	for half := 8; half > 0; half /= 2 {
		for l := range half {
			p[l] += p[l+half]
		}
	}
	return p[0]
}

func goNorm(out, x, residual, gamma, beta *float32, rows, h int, eps float32) {
	w := pad16(h)
	stride := uintptr(4 * w)
	g, b := row(gamma, 0, 0, w), row(beta, 0, 0, w)
	squares := make([]float32, w)
	for i := range rows {
		y, x := row(out, stride, i, w), row(x, stride, i, w)
		if residual == nil {
			copy(y, x)
		} else {
			goAdd(&y[0], &x[0], &row(residual, stride, i, w)[0], w)
		}
		mean := goSum(y) / float32(h)
		for c := range y[:h] {
			y[c] -= mean
			squares[c] = y[c] * y[c]
		}
		r := 1 / float32(math.Sqrt(float64(goSum(squares)/float32(h)+eps)))
		for c := range y[:h] {
			y[c] = float32(float32(y[c]*r)*g[c]) + b[c]
		}
		clear(y[h:])
	}
}

func goPackKeys(panel int, dst, src *float32, stride uintptr, n, d int) {
	out := row(dst, 0, 0, (n+panel-1)/panel*panel*d)
	for j := range n {
		for c, x := range row(src, stride, j, d) {
			out[(j/panel*d+c)*panel+j%panel] = x
		}
	}
}

func goPackValues(panel int, dst, src *float32, stride uintptr, n, d int) {
	out := row(dst, 0, 0, (d+panel-1)/panel*panel*n)
	clear(out)
	for j := range n {
		for c, x := range row(src, stride, j, d) {
			out[(c/panel*n+j)*panel+c%panel] = x
		}
	}
}

func goProduct(panel int, out *float32, outStride uintptr, a *float32, aStride uintptr, b *float32, k, rows, panels int, scale *float32) {
	right := row(b, 0, 0, panels*k*panel)
	for i := range rows {
		o, s := row(out, outStride, i, panels*panel), row(scale, 0, 0, rows)[i]
		for c := range o {
			var acc float32
			for l, x := range row(a, aStride, i, k) {
				acc += float32(x * right[(c/panel*k+l)*panel+c%panel])
			}
			o[c] = acc * s
		}
	}
}

func goSoftmax(s *float32, stride uintptr, rows, n int, inverse *float32) {
	for i := range rows {
		x := row(s, stride, i, pad16(n))
		most := x[0]
		for _, v := range x[:n] {
			if most < v {
				most = v
			}
		}
		for j := range n {
			x[j] = kernel.Exp(x[j] - most)
		}
		clear(x[n:])
		var r float32
		if z := goSum(x); z != 0 {
			r = 1 / z
		}
		row(inverse, 0, 0, rows)[i] = r
	}
}

// goAct is the reference's own activation.
func goAct(act kernel.Act) func(dst, src *float32, n int) {
	return func(dst, src *float32, n int) {
		k, err := kernel.NewActivation(n, act)
		if err != nil {
			panic(err)
		}
		mem := make([]byte, 4*n)
		copy(floats(mem, 0, n), row(src, 0, 0, n))
		k.Run(mem, 0, 1, 0, []uint32{0, 0})
		copy(row(dst, 0, 0, n), floats(mem, 0, n))
	}
}
