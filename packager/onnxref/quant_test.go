package onnxref

import (
	"math/rand/v2"
	"slices"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// dynamicLinear is a Linear as onnxruntime's quantize_dynamic writes it.
func dynamicLinear(t *testing.T, codes, scale, zero, bias *Tensor) *onnx.Graph {
	t.Helper()
	return graphOf("x", map[string]*Tensor{"w": codes, "w_scale": scale, "w_zero": zero, "bias": bias},
		node(t, "DynamicQuantizeLinear: x -> q x_scale x_zero", ""),
		node(t, "MatMulInteger: q w x_zero w_zero -> sums", ""),
		node(t, "Cast: sums -> wide", "to=1"),
		node(t, "Mul: x_scale w_scale -> scale", ""),
		node(t, "Mul: wide scale -> product", ""),
		node(t, "Add: product bias -> y", ""),
	)
}

// TestFloatActivations: x (codes - zero) scale + bias, with nothing of x lost.
func TestFloatActivations(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const rows, k, n = 3, 20, 7
	x := Floats([]int{rows, k}, make([]float32, rows*k)...)
	for i := range x.F {
		x.F[i] = float32(rng.NormFloat64())
	}
	codes := Ints(tensor.I8, []int{k, n}, make([]int64, k*n)...)
	for i := range codes.I {
		codes.I[i] = rng.Int64N(256) - 128
	}
	bias := Floats([]int{n}, make([]float32, n)...)
	for name, c := range map[string]struct{ scale, zero *Tensor }{
		"tensor":  {Scalar(0.01), spellOne(t, "i8: 3")},
		"columns": {spellOne(t, "7: 0.01 0.02 0.03 0.04 0.05 0.06 0.07"), spellOne(t, "i8 7: 0 1 2 3 -4 -128 127")},
	} {
		want := Floats([]int{rows, n}, make([]float32, rows*n)...)
		for i := range want.F {
			sum := 0.0
			for j := range k {
				sum += float64(x.F[i/n*k+j]) * float64(codes.I[j*n+i%n]-c.zero.I[i%n%c.zero.Len()])
			}
			want.F[i] = float32(sum * float64(c.scale.F[i%n%c.scale.Len()]))
		}
		g := dynamicLinear(t, codes, c.scale, c.zero, bias)
		got, err := session(t, Config{FloatActivations: true}, g).Run(t.Context(), map[string]*Tensor{"x": x}, "y", "x_scale", "x_zero")
		if err != nil {
			t.Fatal(err)
		}
		if err := same(got["y"], want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got["x_scale"].F[0] != 1 || got["x_zero"].I[0] != 0 {
			t.Errorf("%s: scale %v, zero point %v", name, got["x_scale"].F, got["x_zero"].I)
		}
		rough, err := session(t, Config{}, g).Run(t.Context(), map[string]*Tensor{"x": x}, "y")
		if err != nil {
			t.Fatal(err)
		}
		if d := worst(t, rough["y"], want); d == 0 || d > 0.2 {
			t.Errorf("%s: quantised activations differ by %g", name, d)
		}
	}
}

// TestFloatCodes: codes that were not rounded come back as they were.
func TestFloatCodes(t *testing.T) {
	g := graphOf("x", map[string]*Tensor{"scale": Scalar(0.5), "zero": spellOne(t, "u8: 7")},
		node(t, "QuantizeLinear: x scale zero -> q", ""), node(t, "DequantizeLinear: q scale zero -> y", ""))
	x := spellOne(t, "4: 0.3 -5 1000 0")
	got, err := session(t, Config{FloatActivations: true}, g).Run(t.Context(), map[string]*Tensor{"x": x}, "y")
	if err != nil {
		t.Fatal(err)
	}
	if err := same(got["y"], x); err != nil {
		t.Error(err)
	}
}

// TestTiles compares products of all sizes with sums written out.
func TestTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		batch, m, k, n := 1+rng.IntN(2), rng.IntN(6), rng.IntN(7), rng.IntN(10)
		a, b := Floats([]int{batch, m, k}, make([]float32, batch*m*k)...), Floats([]int{k, n}, make([]float32, k*n)...)
		for _, v := range [][]float32{a.F, b.F} {
			for i := range v {
				v[i] = float32(rng.IntN(9) - 4)
			}
		}
		got, err := Eval(&onnx.Node{Op: "MatMul"}, []*Tensor{a, b}, 1<<12)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float32, batch*m*n)
		for i := range want {
			for j := range k {
				want[i] += a.F[i/n*k+j] * b.F[j*n+i%n]
			}
		}
		if !slices.Equal(got[0].F, want) {
			t.Errorf("%d x %d x %d x %d: got %v, want %v", batch, m, k, n, got[0].F, want)
		}
	}
}

// TestHalf rounds to every half: each is its own rounding, and so is what lies less
// than half a step beside it; a tie goes to the even one.
func TestHalf(t *testing.T) {
	for h := range uint16(0x7c00) {
		v, next := float64(tensor.FromF16(h)), float64(tensor.FromF16(h+1))
		if h+1 == 0x7c00 {
			next = 65536
		}
		even := v
		if h%2 == 1 {
			even = next
		}
		if even == 65536 {
			even = float64(tensor.FromF16(0x7c00))
		}
		for x, want := range map[float64]float64{v: v, v + (next-v)*0.499: v, v + (next-v)*0.5: even} {
			if got := round(tensor.F16, x); float64(got) != want {
				t.Fatalf("%v rounds to %v, want %v", x, got, want)
			}
			if got := round(tensor.F16, -x); float64(got) != -want {
				t.Fatalf("%v rounds to %v, want %v", -x, got, -want)
			}
		}
	}
}
