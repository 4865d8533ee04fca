package trial

import "math"

// Random is a source of numbers that are the same for ever and everywhere: splitmix64 from
// a state. It is not safe for concurrent use.
type Random struct{ State uint64 }

// Next is 64 random bits.
func (r *Random) Next() uint64 {
	r.State += 0x9e3779b97f4a7c15
	z := r.State
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Intn is a number from 0 to n-1.
func (r *Random) Intn(n int) int { return int(r.Next() % uint64(n)) }

// Float is about normal, of mean 0 and variance 1/3: a sum of four uniform numbers.
func (r *Random) Float() float32 {
	z := r.Next()
	sum := int32(int16(z)) + int32(int16(z>>16)) + int32(int16(z>>32)) + int32(int16(z>>48))
	return float32(sum) / (1 << 16)
}

// Numbers is the sort of numbers that a case is filled with.
type Numbers int

const (
	// Plain are about normal.
	Plain Numbers = iota
	// Extremes are rows of a few values far apart, and codes at the ends of what they can be.
	Extremes
	// Zeros are +0 and -0.
	Zeros
	// Outliers are plain, but for one in forty, a million times as large.
	Outliers
	// Denormals are below what a normal float32 can be.
	Denormals
	// Tiny are about 2^-100, where rows begin to count as zero.
	Tiny
	// Wide reach past where exp, erf and tanh are cut off.
	Wide
	// Sorts is the number of sorts.
	Sorts
)

// value is an activation.
func (r *Random) value(n Numbers) float32 {
	x := r.Float()
	switch n {
	case Zeros:
		return [2]float32{0, float32(math.Copysign(0, -1))}[r.Intn(2)]
	case Extremes:
		return [5]float32{-3, 3, 0, 1e-3, -1e4}[r.Intn(5)]
	case Outliers:
		if r.Intn(40) == 0 {
			return x * 1e6
		}
	case Denormals:
		return x * 0x1p-128
	case Tiny:
		return x * 0x1p-99
	case Wide:
		return x * 60
	}
	return x
}

// code is an int8 weight.
func (r *Random) code(n Numbers) byte {
	switch n {
	case Extremes:
		return [4]byte{0x80, 0x81, 0x7f, 0}[r.Intn(4)]
	case Zeros:
		return 0
	}
	return byte(r.Next())
}

// scale is about 0.02. It is not fused, so that cases are the same on every CPU.
func (r *Random) scale() float32 { return (float32(r.Float()*0.1) + 1) * 0.02 }

// zero is a zero point; those of extremes leave what a code can hold, as far as int32 goes.
func (r *Random) zero(n Numbers) int {
	switch n {
	case Extremes:
		return [10]int{-128, 127, -1, 0, 128, 255, -256, 70000, math.MaxInt32, math.MinInt32}[r.Intn(10)]
	case Zeros:
		return 0
	}
	return r.Intn(256) - 128
}
