package infer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/tensor"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// changed is b with one byte of each of the chunks changed.
func changed(b *bundle.Bundle, chunks ...int) *bundle.Bundle {
	return b.WithEncoded(func(_ context.Context, i int, _ []byte) ([]byte, error) {
		data, _, err := b.EncodedChunk(i)
		if slices.Contains(chunks, i) {
			data = slices.Clone(data)
			data[len(data)/3] ^= 4
		}
		return data, err
	})
}

// Whichever chunk is not what the manifest says, nothing is loaded, and the error names the
// chunk and what it is of.
func TestLoadCorrupt(t *testing.T) {
	b := openTiny(t)
	of := map[int]bundle.Object{}
	for _, o := range slices.Backward(b.Manifest.Objects) {
		for _, x := range o.Extents {
			of[int(x.Chunk)] = o
		}
	}
	for i, c := range b.Index {
		if of[i].Kind == bundle.KindKernel {
			continue // never read: this build has its own
		}
		want := map[bundle.Kind]string{bundle.KindTokenizer: "load tokenizer", bundle.KindProgram: "load program"}[of[i].Kind]
		if of[i].Kind == bundle.KindTensor {
			want = "load weights: tensor " + of[i].Name
		}
		for _, workers := range []int{1, 3} {
			_, err := Load(t.Context(), changed(b, i), Config{Kernels: "go", Workers: workers})
			if !errors.Is(err, bundle.ErrCorrupt) || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), c.Digest.String()[:16]) {
				t.Errorf("chunk %d, %d workers: %v, want %s and the chunk", i, workers, err, want)
			}
		}
	}
}

func TestLoadCancelled(t *testing.T) {
	b := openTiny(t)
	for at := range b.Index {
		ctx, cancel := context.WithCancel(t.Context())
		var read atomic.Int64
		stopping := b.WithEncoded(func(ctx context.Context, i int, _ []byte) ([]byte, error) {
			if read.Add(1) > int64(at) {
				cancel()
			}
			data, _, err := b.EncodedChunk(i)
			return data, errors.Join(err, ctx.Err())
		})
		m, err := Load(ctx, stopping, Config{Kernels: "go", Workers: 1})
		if err == nil && read.Load() > int64(at) {
			t.Errorf("cancelled at chunk %d: loaded", at)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at chunk %d: %v", at, err)
		}
		if m != nil {
			m.Close(t.Context())
		}
		cancel()
	}
}

// pattern is n bytes that differ from their neighbours.
func pattern(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i*7 + i>>8)
	}
	return out
}

func pieces(t *testing.T, tensors map[string]bundle.Object, data map[string][]byte) *bundle.Bundle {
	t.Helper()
	builder := bundle.NewBuilder()
	for name, o := range tensors {
		if err := builder.AddTensor("0", name, o.DType, o.Shape, data[name]); err != nil {
			t.Fatal(err)
		}
	}
	b, err := builder.Build(t.Context(), bundle.Manifest{
		Product: "p", Name: "n", Version: "1", Release: 1, Task: TaskEmbed,
		Meta: bundle.Meta{MaxTokensPerText: 8, Hidden: 8}, Memory: bundle.Memory{Weights: 1, Arena: 1, Scratch: 1, MaxTokens: 8, MaxSeqs: 1}, MinRuntime: 1,
	}, sign.FromSeed([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Tensors come to lie as if each were laid in one piece, however chunks cut them: between
// rows, within rows, many in one.
func TestPlace(t *testing.T) {
	shapes := map[string]bundle.Object{
		"rows":   {DType: tensor.I8, Shape: []int{700, 500}},
		"table":  {DType: tensor.I8, Shape: []int{600, 512}},
		"narrow": {DType: tensor.I8, Shape: []int{5, 3}},
		"long":   {DType: tensor.I8, Shape: []int{3, 130_001}},
		"panels": {DType: tensor.I8, Shape: []int{900, 301}},
		"wide":   {DType: tensor.I8, Shape: []int{17, 125_000}},
		"gain":   {DType: tensor.F32, Shape: []int{13}},
		"scale":  {DType: tensor.F32, Shape: []int{40_000}},
		"ints":   {DType: tensor.I32, Shape: []int{9}},
	}
	layouts := map[string]program.Layout{
		"rows": program.Rows8, "table": program.Rows8, "narrow": program.Rows8, "long": program.Rows8, "panels": program.Panels, "wide": program.Panels,
		"gain": program.Vector, "scale": program.Vector, "ints": program.Ints,
	}
	var weights []program.Weight
	data, end := map[string][]byte{}, uint32(0)
	for name, o := range shapes {
		w := program.Weight{Tensor: name, Layout: layouts[name], Rows: 1, Cols: uint32(o.Shape[len(o.Shape)-1]), Offset: end}
		size := o.DType.Size()
		for _, n := range o.Shape {
			size *= n
		}
		if len(o.Shape) == 2 {
			w.Rows = uint32(o.Shape[0])
		}
		data[name] = pattern(size)
		if o.DType == tensor.F32 {
			for i := 3; i < size; i += 4 {
				data[name][i] &= 0x3f
			}
		}
		end += uint32(w.Bytes()+63) &^ 63
		weights = append(weights, w)
	}
	b := pieces(t, shapes, data)
	want := make([]byte, end)
	for _, w := range weights {
		l := layer{weight: w, pack: kernel.PackWeights, dst: want[w.Offset:][:w.Bytes()]}
		if err := l.lay(data[w.Tensor], 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, workers := range []int{1, 2, 7} {
		mem := make([]byte, end)
		pl, err := plan(b, weights, mem, kernel.PackWeights)
		if err != nil {
			t.Fatal(err)
		}
		if err := pl.run(t.Context(), b, workers); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(mem, want) {
			t.Errorf("%d workers: weights lie elsewhere", workers)
		}
		if len(pl.broken) != 3 {
			t.Errorf("%d tensors have rows that chunks share, want long, wide and scale", len(pl.broken))
		}
	}
}

// A weight that is no number is refused by the name of its tensor, wherever it stands.
func TestPlaceNotFinite(t *testing.T) {
	for _, n := range []int{13, 40_000} {
		for _, at := range []int{0, n / 2, n - 1} {
			data := make([]byte, 4*n)
			binary.LittleEndian.PutUint32(data[4*at:], 0xff800000)
			b := pieces(t, map[string]bundle.Object{"scale": {DType: tensor.F32, Shape: []int{n}}}, map[string][]byte{"scale": data})
			pl, err := plan(b, []program.Weight{{Tensor: "scale", Layout: program.Vector, Rows: 1, Cols: uint32(n)}}, make([]byte, 4*n+64), kernel.PackWeights)
			if err == nil {
				err = pl.run(t.Context(), b, 2)
			}
			if want := "tensor scale: a weight is -Inf"; err == nil || err.Error() != want {
				t.Errorf("weight %d of %d: %v, want %s", at, n, err, want)
			}
		}
	}
}

func TestPlaceRefuses(t *testing.T) {
	b := pieces(t, map[string]bundle.Object{"w": {DType: tensor.I8, Shape: []int{4, 4}}}, map[string][]byte{"w": pattern(16)})
	for _, w := range []program.Weight{
		{Tensor: "v", Layout: program.Rows8, Rows: 4, Cols: 4},
		{Tensor: "w", Layout: program.Rows8, Rows: 4, Cols: 5},
		{Tensor: "w", Layout: program.RowsF32, Rows: 1, Cols: 4},
	} {
		_, err := plan(b, []program.Weight{w}, make([]byte, 1024), kernel.PackWeights)
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("tensor %s", w.Tensor)) {
			t.Errorf("%+v: %v", w, err)
		}
	}
}
