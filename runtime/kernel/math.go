package kernel

import (
	"math"
	"unsafe"
)

// The constants of exp: e^r = 1 + r + r²·q(r) for |r| <= ln(2)/2, q by its degrees.
const (
	roundMagic = 12582912.0 // 1.5 * 2^23: adding it rounds to the nearest integer, ties to even
	roundBits  = 0x4B400000 // its bits: bits(x + roundMagic) - roundBits is that integer
	log2e      = 1.44269504
	ln2Hi      = 0.693359375 // few bits, so that n*ln2Hi is exact
	ln2Lo      = -2.12194440e-4
	expLow     = -87.0 // below: +0
	expHigh    = 88.0  // above: exp(expHigh)
	expBias    = 127   // of a float32's exponent
	exp0       = 0.499999934316
	exp1       = 0.166665203938
	exp2       = 0.0416683908811
	exp3       = 0.00836874559594
	exp4       = 0.00138145356031
)

// exp is e^x for every x with a relative error below 1e-7; NaN gives NaN.
func exp(x float32) float32 {
	if x < expLow {
		return 0
	}
	if expHigh < x {
		x = expHigh
	}
	t := float32(x*log2e) + roundMagic
	n := t - roundMagic
	r := x - float32(n*ln2Hi)
	r -= float32(n * ln2Lo)
	q := float32(exp4*r) + exp3
	q = float32(q*r) + exp2
	q = float32(q*r) + exp1
	q = float32(q*r) + exp0
	y := float32(q*float32(r*r)) + r
	y += 1
	// The low bits of t are n: shifted into the exponent they make 2^n.
	return y * math.Float32frombits((math.Float32bits(t)+expBias)<<23)
}

// The constants of erf(x) = x·p(x²)/q(x²), p and q by their degrees, up to erfClamp,
// where the quotient has become 1.
const (
	erfClamp = 3.85
	erfP0    = 1.1283791
	erfP1    = 0.18994756
	erfP2    = 0.052744333
	erfP3    = 0.003761425
	erfP4    = 0.00028756706
	erfP5    = 2.0906418e-06
	erfQ0    = 1.0
	erfQ1    = 0.50166875
	erfQ2    = 0.11397115
	erfQ3    = 0.014958211
	erfQ4    = 0.001166694
	erfQ5    = 3.8650163e-05
)

// erf is the error function with an absolute error below 4e-7; NaN gives NaN.
func erf(x float32) float32 {
	if erfClamp < x {
		x = erfClamp
	}
	if x < -erfClamp {
		x = -erfClamp
	}
	y := x * x
	p := float32(erfP5*y) + erfP4
	p = float32(p*y) + erfP3
	p = float32(p*y) + erfP2
	p = float32(p*y) + erfP1
	p = float32(p*y) + erfP0
	q := float32(erfQ5*y) + erfQ4
	q = float32(q*y) + erfQ3
	q = float32(q*y) + erfQ2
	q = float32(q*y) + erfQ1
	q = float32(q*y) + erfQ0
	return float32(x*p) / q
}

// gelu is x·Φ(x), in the order (0.5·x)·(1 + erf(x·√½)).
func gelu(x float32) float32 {
	e := erf(x * sqrtHalf)
	return float32(0.5*x) * (1 + e)
}

const sqrtHalf = 0.70710678

// The constants of tanh(x) = (x + x³·p(x²))/q(x²), p and q by their degrees, up to
// tanhClamp, where the quotient has become 1; below it stays under 1.
const (
	tanhClamp = 7.9764023
	tanhP0    = 1.340216100e-1
	tanhP1    = 3.520756727e-3
	tanhP2    = 2.102733560e-5
	tanhP3    = 1.394553628e-8
	tanhQ0    = 1.0
	tanhQ1    = 4.673548340e-1
	tanhQ2    = 2.597254514e-2
	tanhQ3    = 3.326951409e-4
	tanhQ4    = 8.015776984e-7
)

// tanh is the hyperbolic tangent with an absolute and a relative error below 4e-7; NaN
// gives NaN.
func tanh(x float32) float32 {
	if tanhClamp < x {
		x = tanhClamp
	}
	if x < -tanhClamp {
		x = -tanhClamp
	}
	y := x * x
	p := float32(tanhP3*y) + tanhP2
	p = float32(p*y) + tanhP1
	p = float32(p*y) + tanhP0
	q := float32(tanhQ4*y) + tanhQ3
	q = float32(q*y) + tanhQ2
	q = float32(q*y) + tanhQ1
	q = float32(q*y) + tanhQ0
	return (float32(p*float32(x*y)) + x) / q
}

// The constants of GELU's approximation by tanh.
const (
	geluLinear = 0.7978845608 // sqrt(2/pi)
	geluCubic  = 0.7978845608 * 0.044715
)

// geluTanh is (0.5·x)·(1 + tanh(x·(geluLinear + geluCubic·x²))).
func geluTanh(x float32) float32 {
	y := float32(geluCubic*float32(x*x)) + geluLinear
	return float32(0.5*x) * (1 + tanh(float32(x*y)))
}

// sigmoid is 1/(1+e^-x) with a relative error below 3e-7, +0 for x < -87: with
// e = exp(-|x|), which never overflows, e/(1+e) for x < 0 and 1/(1+e) for others.
func sigmoid(x float32) float32 {
	e := exp(math.Float32frombits(math.Float32bits(x) | 1<<31))
	if x < 0 {
		return e / (1 + e)
	}
	return 1 / (1 + e)
}

// silu is x·sigmoid(x).
func silu(x float32) float32 { return x * sigmoid(x) }

// relu is x, but 0 for x < 0; NaN gives NaN.
func relu(x float32) float32 {
	if x < 0 {
		return 0
	}
	return x
}

// sqrt32 is the IEEE square root.
func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// fold adds the 16 partial sums of a row: the tree 8-4-2-1.
func fold(p *[16]float32) float32 {
	for half := 8; half > 0; half /= 2 {
		for l := range half {
			p[l] += p[l+half]
		}
	}
	return p[0]
}

// sum adds up a row whose length is a multiple of 16.
func sum(row []float32) float32 {
	var p [16]float32
	for len(row) >= 16 {
		r := (*[16]float32)(row)
		for l := range r {
			p[l] += r[l]
		}
		row = row[16:]
	}
	return fold(&p)
}

// sumSquares adds up the squares of a row whose length is a multiple of 16.
func sumSquares(row []float32) float32 {
	var p [16]float32
	for len(row) >= 16 {
		r := (*[16]float32)(row)
		for l := range r {
			p[l] += float32(r[l] * r[l])
		}
		row = row[16:]
	}
	return fold(&p)
}

// view is n elements of memory at a byte offset. It panics outside of mem.
func view[T float32 | int32 | int64 | int8](mem []byte, off, n int) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	b := mem[off : off+n*size]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}
