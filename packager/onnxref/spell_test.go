package onnxref

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// spelled tensors: "2x3: 1 2 3 4 5 6" is F32, "i64 2: 1 2" another type, ": 5" a
// scalar, "0x3:" has no elements, "-" is left out. "|" stands between tensors.
func spell(t testing.TB, text string) []*Tensor {
	t.Helper()
	var out []*Tensor
	for part := range strings.SplitSeq(text, "|") {
		if part = strings.TrimSpace(part); part == "-" {
			out = append(out, nil)
		} else if part != "" {
			out = append(out, spellOne(t, part))
		}
	}
	return out
}

func spellOne(t testing.TB, text string) *Tensor {
	t.Helper()
	head, values, ok := strings.Cut(text, ":")
	if !ok {
		t.Fatalf("tensor %q", text)
	}
	out := &Tensor{DType: tensor.F32, Shape: []int{}}
	for _, word := range strings.Fields(head) {
		if d, ok := tensor.Parse(strings.ToUpper(word)); ok {
			out.DType = d
			continue
		}
		for n := range strings.SplitSeq(word, "x") {
			d, err := strconv.Atoi(n)
			if err != nil {
				t.Fatalf("tensor %q", text)
			}
			out.Shape = append(out.Shape, d)
		}
	}
	for _, word := range strings.Fields(values) {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			t.Fatalf("tensor %q: %v", text, err)
		}
		if out.Float() {
			out.F = append(out.F, float32(v))
		} else {
			n, _ := strconv.ParseInt(word, 10, 64)
			out.I = append(out.I, n)
		}
	}
	if err := out.check(); err != nil {
		t.Fatalf("tensor %q: %v", text, err)
	}
	return out
}

// spellNode is a node of "Op" or "domain.Op", and attributes like
// "axis=1 alpha=0.5 axes=[0,1] mode=edge".
func spellNode(t testing.TB, op, attrs string, version int64) *onnx.Node {
	t.Helper()
	n := &onnx.Node{Name: "it", Op: op, Version: version, Attrs: map[string]onnx.Attr{}}
	if i := strings.LastIndex(op, "."); i >= 0 {
		n.Domain, n.Op = op[:i], op[i+1:]
	}
	for _, word := range strings.Fields(attrs) {
		key, value, _ := strings.Cut(word, "=")
		n.Attrs[key] = spellAttr(t, value)
	}
	return n
}

func spellAttr(t testing.TB, value string) onnx.Attr {
	t.Helper()
	if list, ok := strings.CutPrefix(value, "["); ok {
		a := onnx.Attr{Kind: onnx.AttrInts}
		for word := range strings.SplitSeq(strings.TrimSuffix(list, "]"), ",") {
			if n, err := strconv.ParseInt(word, 10, 64); err == nil {
				a.Ints = append(a.Ints, n)
			}
		}
		return a
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return onnx.Attr{Kind: onnx.AttrInt, I: n}
	}
	if f, err := strconv.ParseFloat(value, 32); err == nil {
		return onnx.Attr{Kind: onnx.AttrFloat, F: float32(f)}
	}
	return onnx.Attr{Kind: onnx.AttrString, S: value}
}

// same compares shapes, types and values; floats within 1e-6, relative where they
// are larger than 1.
func same(got, want *Tensor) error {
	if got == nil || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !slices.Equal(got.I, want.I) || len(got.F) != len(want.F) {
		return fmt.Errorf("got %v %v %v, want %v %v %v", got, values(got).F, values(got).I, want, want.F, want.I)
	}
	for i, w := range want.F {
		g := got.F[i]
		d := math.Abs(float64(g)-float64(w)) / max(1, math.Abs(float64(w)))
		if g != w && !(d <= 1e-6) && (g == g || w == w) {
			return fmt.Errorf("got %v %v, want %v", got, got.F, want.F)
		}
	}
	return nil
}

func values(t *Tensor) *Tensor {
	if t == nil {
		return &Tensor{}
	}
	return t
}
