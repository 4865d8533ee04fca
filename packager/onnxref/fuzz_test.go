package onnxref

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"skiff/formats/onnx"
	"skiff/formats/tensor"
)

// known lists every operator.
const known = `Abs Add And ArgMax ArgMin Cast CastLike Ceil Clip Concat Constant ConstantOfShape Cos CumSum DequantizeLinear Div Dropout
	DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm Greater GreaterOrEqual
	HardSigmoid HardSwish Identity If IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization MatMul MatMulInteger
	Max Mean Min Mish Mod Mul Neg Not OneHot Or PRelu Pad Pow QuantizeLinear RMSNormalization Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
	ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round Scatter ScatterElements ScatterND Shape
	Sigmoid Sign Silu SimplifiedLayerNormalization Sin Size Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Swish Tanh Tile TopK Transpose
	Trilu Unsqueeze Where Xor
	com.microsoft.Attention com.microsoft.BiasGelu com.microsoft.DynamicQuantizeMatMul com.microsoft.EmbedLayerNormalization com.microsoft.FastGelu
	com.microsoft.FusedGemm com.microsoft.FusedMatMul com.microsoft.Gelu com.microsoft.MatMulIntegerToFloat com.microsoft.MultiHeadAttention com.microsoft.QAttention
	com.microsoft.DequantizeLinear com.microsoft.QEmbedLayerNormalization com.microsoft.QuantizeLinear com.microsoft.QuickGelu com.microsoft.RotaryEmbedding com.microsoft.SkipLayerNormalization
	com.microsoft.SkipSimplifiedLayerNormalization com.microsoft.TransposeMatMul`

// attributes lists every attribute that is read.
const attributes = `activation activation_alpha allowzero alpha approximate axes axis batch_dims beta detect_negative detect_positive do_rotary dtype end ends epsilon equation
	exclusive fmod interleaved k keepdims largest mask_filter_value max min mode noop_with_empty_axes num_heads num_outputs output_dtype p pads perm
	qkv_hidden_sizes reduction reverse scale select_last_index split start starts stash_type steps to transA transB transBatchA unidirectional upper value`

func TestKnown(t *testing.T) {
	for _, name := range strings.Fields(known) {
		if _, err := find(spellNode(t, name, "", 17)); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d operators", len(strings.Fields(known)))
}

// script takes a node and its inputs out of bytes.
type script struct {
	data []byte
}

func (s *script) next(n int) int {
	if len(s.data) == 0 {
		return 0
	}
	v := int(s.data[0])
	s.data = s.data[1:]
	return v % n
}

// integer is small and often negative, or very large now and then.
func (s *script) integer() int64 {
	v := s.next(256)
	switch {
	case v < 200:
		return int64(v%12) - 4
	case v < 250:
		return int64(v)
	}
	return []int64{1 << 62, -1 << 63, 1<<63 - 1, 1 << 31, -1 << 31, 1 << 40}[v-250]
}

func (s *script) tensor() *Tensor {
	types := []tensor.DType{tensor.F32, tensor.I64, tensor.F32, tensor.I64, tensor.Bool, tensor.I32, tensor.U8, tensor.I8, tensor.F16, tensor.F64, tensor.BF16}
	t := &Tensor{DType: types[s.next(len(types))], Shape: make([]int, s.next(5))}
	for i := range t.Shape {
		t.Shape[i] = s.next(4)
	}
	for range t.Len() {
		if v := s.integer(); t.Float() {
			t.F = append(t.F, round(t.DType, float64(v)))
		} else {
			t.I = append(t.I, wrap(t.DType, v))
		}
	}
	return t
}

func (s *script) attr() onnx.Attr {
	switch s.next(8) {
	case 0:
		return onnx.Attr{Kind: onnx.AttrFloat, F: float32(s.integer())}
	case 1, 2:
		a := onnx.Attr{Kind: onnx.AttrInts}
		for range s.next(5) {
			a.Ints = append(a.Ints, s.integer())
		}
		return a
	case 3:
		words := []string{"", "tanh", "edge", "reflect", "wrap", "add", "max", "ij,jk->ik", "...i,i->...", "ii", "i,j", "bhid,bhjd->bhij", "A", "..."}
		return onnx.Attr{Kind: onnx.AttrString, S: words[s.next(len(words))]}
	case 4:
		v := viewOf("value", Floats([]int{1}, float32(s.integer())))
		v.Shape = make([]int, s.next(3))
		for i := range v.Shape {
			v.Shape[i] = int(s.integer() & (1<<62 - 1))
		}
		return onnx.Attr{Kind: onnx.AttrTensor, T: &v}
	}
	return onnx.Attr{Kind: onnx.AttrInt, I: s.integer()}
}

// FuzzEval: no node makes Eval panic, no result is other than it says or over the
// budget, and little is allocated on the way.
func FuzzEval(f *testing.F) {
	names, attrs := strings.Fields(known), strings.Fields(attributes)
	for i := range names {
		f.Add([]byte{byte(i), 13, 0, 2, 0, 2, 2, 2, 1, 2, 3, 4, 0, 2, 2, 2, 5, 6, 7, 8})
		f.Add([]byte{byte(i), 17, 1, 4, 5, 5, 3, 1, 1, 2, 5, 6, 0, 2, 2, 2, 5, 6, 7, 8, 0, 1, 2, 5, 6})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &script{data: data}
		n := spellNode(t, names[s.next(len(names))], "", int64(s.next(22)))
		for range s.next(4) {
			n.Attrs[attrs[s.next(len(attrs))]] = s.attr()
		}
		var in []*Tensor
		for range s.next(7) {
			if s.next(10) == 9 {
				in = append(in, nil)
			} else {
				in = append(in, s.tensor())
			}
		}
		n.Outputs = make([]string, s.next(4))
		const budget = 1 << 12
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		outs, err := Eval(n, in, budget)
		runtime.ReadMemStats(&after)
		if made := after.TotalAlloc - before.TotalAlloc; made > 8<<20 {
			t.Errorf("%v of %s: %d bytes allocated", n, in, made)
		}
		for i, out := range outs {
			if out == nil || err != nil {
				continue
			}
			if err := out.check(); err != nil || out.Len() > budget {
				t.Error(fmt.Errorf("%v of %s: output %d: %v, %w", n, in, i, out, err))
			}
		}
	})
}

// FuzzRun: whatever the reader of ONNX files lets through can be run, or is refused.
func FuzzRun(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Parse(data, nil)
		if err != nil {
			return
		}
		defer m.Close()
		const budget = 1 << 12
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, float := range []bool{false, true} {
			s, err := New(m, Config{Budget: budget, FloatActivations: float})
			if err != nil {
				return
			}
			for _, out := range m.Graph.Outputs {
				got, err := s.Run(t.Context(), someFeeds(m), out.Name)
				if err != nil {
					continue
				}
				if err := got[out.Name].check(); err != nil {
					t.Errorf("%s: %v", out.Name, err)
				}
			}
		}
		runtime.ReadMemStats(&after)
		if made := after.TotalAlloc - before.TotalAlloc; made > 64<<20+uint64(1000*len(data)*(len(m.Graph.Outputs)+1)) {
			t.Errorf("%d bytes allocated for a file of %d", made, len(data))
		}
	})
}

// someFeeds counts up in every input, which has two elements where the file does
// not say how many.
func someFeeds(m *onnx.Model) map[string]*Tensor {
	feeds := map[string]*Tensor{}
	for _, in := range m.Graph.Inputs {
		t := &Tensor{DType: in.DType, Shape: []int{}}
		for _, d := range in.Shape {
			if d.Size < 0 {
				d.Size = 2
			}
			t.Shape = append(t.Shape, min(d.Size, 4))
		}
		if len(t.Shape) > 6 {
			t.Shape = t.Shape[:6]
		}
		for i := range t.Len() {
			if t.Float() {
				t.F = append(t.F, float32(i%5))
			} else {
				t.I = append(t.I, int64(i%2))
			}
		}
		feeds[in.Name] = t
	}
	return feeds
}
