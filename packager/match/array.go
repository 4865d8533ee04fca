package match

import (
	"fmt"
	"math"
	"slices"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
	"skiff/packager/onnxref"
)

// array is numbers that are known.
type array = onnxref.Tensor

// How many elements an array that is computed here has at most, and how many a tensor
// of values whose numbers are not listed: one number a word and token among them.
const (
	budget  = 1 << 26
	largest = 1 << 28
)

// room refuses to list the places of more numbers than budget.
func room(shape []int) error {
	if n, ok := tensor.Elements(shape, 8); !ok || n > budget {
		return fmt.Errorf("%v are too many numbers", shape)
	}
	return nil
}

// calc computes one operator without attributes.
func calc(op string, in ...*array) (*array, error) {
	out, err := onnxref.Eval(&onnx.Node{Name: "(" + op + ")", Op: op, Version: 17, Inputs: make([]string, len(in)), Outputs: []string{op}}, in, budget)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// count is the number of elements of a shape.
func count(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// last is the last dimension, 1 where there is none.
func last(shape []int) int {
	if len(shape) == 0 {
		return 1
	}
	return shape[len(shape)-1]
}

// number is element i of a, whatever its type.
func number(a *array, i int) float64 {
	if a.Float() {
		return float64(a.F[i])
	}
	return float64(a.I[i])
}

// uniform is the one number that a holds, where all are equal.
func uniform(a *array) (float64, bool) {
	n := a.Len()
	if n == 0 {
		return 0, false
	}
	v := number(a, 0)
	for i := 1; i < n; i++ {
		if number(a, i) != v {
			return 0, false
		}
	}
	return v, true
}

// floats is a as float32.
func floats(a *array) *array {
	if a.Float() {
		return a
	}
	out := make([]float32, len(a.I))
	for i, v := range a.I {
		out[i] = float32(v)
	}
	return onnxref.Floats(a.Shape, out...)
}

// factor is a as a coefficient: nil for ones, one number where all are equal.
func factor(a *array) *array {
	v, ok := uniform(a)
	switch {
	case ok && v == 1:
		return nil
	case ok:
		return onnxref.Scalar(float32(v))
	}
	return floats(a)
}

// summand is a as something added: nil for zeros, one number where all are equal.
func summand(a *array) *array {
	v, ok := uniform(a)
	switch {
	case ok && v == 0:
		return nil
	case ok:
		return onnxref.Scalar(float32(v))
	}
	return floats(a)
}

// expand repeats a to a shape that it broadcasts to.
func expand(a *array, shape []int) (*array, error) {
	if slices.Equal(a.Shape, shape) {
		return a, nil
	}
	to := make([]int64, len(shape))
	for i, d := range shape {
		to[i] = int64(d)
	}
	return calc("Expand", a, onnxref.Ints(tensor.I64, []int{len(to)}, to...))
}

// join is the shape that two shapes broadcast to.
func join(a, b []int) ([]int, error) {
	n := max(len(a), len(b))
	out := make([]int, n)
	for i := range n {
		x, y := 1, 1
		if at := i - n + len(a); at >= 0 {
			x = a[at]
		}
		if at := i - n + len(b); at >= 0 {
			y = b[at]
		}
		if x != y && x != 1 && y != 1 {
			return nil, fmt.Errorf("shapes %v and %v do not fit", a, b)
		}
		out[i] = x
		if x == 1 {
			out[i] = y
		}
	}
	return out, nil
}

// columns is what a adds to or multiplies each column with, where that is the same in
// all rows of shape; nil stands for otherwise.
func columns(a *array, shape []int, otherwise float32) ([]float32, bool) {
	c := last(shape)
	out := make([]float32, c)
	if a == nil {
		for i := range out {
			out[i] = otherwise
		}
		return out, true
	}
	if v, ok := uniform(a); ok {
		for i := range out {
			out[i] = float32(v)
		}
		return out, true
	}
	if a.Len() != c || last(a.Shape) != c {
		full, err := expand(a, shape)
		if err != nil {
			return nil, false
		}
		a = full
	}
	for i := range a.Len() {
		v := float32(number(a, i))
		if i < c {
			out[i] = v
		} else if out[i%c] != v {
			return nil, false
		}
	}
	return out, true
}

// digest tells arrays apart; equal ones have the same.
func digest(a *array) string {
	if a == nil {
		return "-"
	}
	h := uint64(14695981039346656037)
	for i := range a.Len() {
		h = mix(h, math.Float64bits(number(a, i)))
	}
	return fmt.Sprintf("%v%x", a.Shape, h)
}

// digestInts is digest of places.
func digestInts(v []int64) string {
	if v == nil {
		return "i"
	}
	h := uint64(14695981039346656037)
	for _, x := range v {
		h = mix(h, uint64(x))
	}
	return fmt.Sprintf("%d:%x", len(v), h)
}

// mix adds v to a running hash.
func mix(h, v uint64) uint64 {
	h ^= v
	h *= 0x9E3779B97F4A7C15
	return h ^ h>>29
}
