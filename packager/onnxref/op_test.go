package onnxref

import (
	"strings"
	"testing"
)

// opCase is one node: its inputs, and its outputs or a part of the error.
type opCase struct {
	op, attrs string
	version   int64
	in, out   string
}

func evalAll(t *testing.T, cases []opCase) {
	t.Helper()
	for _, c := range cases {
		what := strings.TrimSpace(c.op + " " + c.attrs + " of " + c.in)
		got, err := Eval(spellNode(t, c.op, c.attrs, c.version), spell(t, c.in), 1<<12)
		if text, ok := strings.CutPrefix(c.out, "error: "); ok {
			if err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), `node "it"`) {
				t.Errorf("%s: got %v, want an error with %q", what, err, text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for i, want := range spell(t, c.out) {
			if want == nil {
				continue
			}
			if i >= len(got) {
				t.Errorf("%s: %d outputs", what, len(got))
			} else if err := same(got[i], want); err != nil {
				t.Errorf("%s: output %d: %v", what, i, err)
			}
		}
	}
}

func TestArithmetic(t *testing.T) {
	evalAll(t, []opCase{
		{"Add", "", 14, "2x2: 1 2 3 4 | 2: 10 20", "2x2: 11 22 13 24"},
		{"Add", "", 14, "2x1: 1 2 | 1x3: 10 20 30", "2x3: 11 21 31 12 22 32"},
		{"Add", "", 14, ": 1 | 2: 1 2", "2: 2 3"},
		{"Add", "", 14, "0x3: | 1x3: 1 2 3", "0x3:"},
		{"Add", "", 14, "0x3: | 2x3: 1 2 3 4 5 6", "error: do not broadcast"},
		{"Add", "", 14, "2: 1 2 | 3: 1 2 3", "error: shapes [[2] [3]] do not broadcast (inputs F32[2], F32[3])"},
		{"Add", "", 14, "2: 1 2 | i64 2: 1 2", "error: element types F32 and I64 differ"},
		{"Add", "", 14, "bool 2: 1 0 | bool 2: 1 1", "error: element type BOOL"},
		{"Add", "", 14, "2: 1 2", "error: 1 inputs, want at least 2"},
		{"Add", "", 14, "2: 1 2 | -", "error: input 1 is left out"},
		{"Add", "", 14, "i8 1: 127 | i8 1: 1", "i8 1: -128"},
		{"Add", "", 14, "u8 1: 255 | u8 1: 1", "u8 1: 0"},
		{"Add", "", 14, "f16 1: 2048 | f16 1: 1", "f16 1: 2048"},
		{"Add", "", 14, "bf16 1: 256 | bf16 1: 1", "bf16 1: 256"},
		{"Sub", "", 14, "i64 2: 1 2 | i64: 3", "i64 2: -2 -1"},
		{"Mul", "", 14, "i32 1: 2147483647 | i32 1: 3", "i32 1: 2147483645"},
		{"Mul", "", 14, "f16 1: 300 | f16 1: 300", "f16 1: +Inf"},
		{"Div", "", 14, "i64 2: 7 -7 | i64: 2", "i64 2: 3 -3"},
		{"Div", "", 14, "3: 1 -1 0 | : 0", "3: +Inf -Inf NaN"},
		{"Div", "", 14, "i64 1: 1 | i64 1: 0", "error: division by zero"},
		{"Mod", "", 13, "i64 4: 7 -7 7 -7 | i64 4: 3 3 -3 -3", "i64 4: 1 2 -2 -1"},
		{"Mod", "fmod=1", 13, "i64 2: 7 -7 | i64: 3", "i64 2: 1 -1"},
		{"Mod", "fmod=1", 13, "2: 5.5 -5.5 | : 2", "2: 1.5 -1.5"},
		{"Mod", "", 13, "2: 5.5 -5.5 | : 2", "error: fmod"},
		{"Pow", "", 15, "2: 2 3 | i64: 2", "2: 4 9"},
		{"Pow", "", 15, "i64 2: 2 3 | : 2", "i64 2: 4 9"},
		{"Max", "", 13, "2: 1 5 | 2: 3 NaN | : 2", "2: 3 NaN"},
		{"Min", "", 13, "i64 2: 1 5 | i64 2: 3 2", "i64 2: 1 2"},
		{"Max", "", 13, "2: 1 5", "2: 1 5"},
		{"Sum", "", 13, "2: 1 2 | 2: 3 4 | : 1", "2: 5 7"},
		{"Mean", "", 13, "2: 1 2 | 2: 3 5", "2: 2 3.5"},
		{"PRelu", "", 16, "2: -2 2 | 1: 0.5", "2: -1 2"},
	})
}

func TestUnary(t *testing.T) {
	evalAll(t, []opCase{
		{"Abs", "", 13, "i8 2: -128 5", "i8 2: -128 5"},
		{"Abs", "", 13, "2: -1.5 1", "2: 1.5 1"},
		{"Neg", "", 13, "i64 2: 1 -2", "i64 2: -1 2"},
		{"Neg", "", 13, "bool 1: 1", "error: element type BOOL"},
		{"Sign", "", 13, "3: -2 0 5", "3: -1 0 1"},
		{"Ceil", "", 13, "2: 1.2 -1.2", "2: 2 -1"},
		{"Floor", "", 13, "2: 1.2 -1.2", "2: 1 -2"},
		{"Round", "", 11, "4: 0.5 1.5 2.5 -0.5", "4: 0 2 2 -0"},
		{"Exp", "", 13, "2: 0 1", "2: 1 2.7182817"},
		{"Exp", "", 13, "i64 1: 0", "error: element type I64, want floating point"},
		{"Log", "", 13, "2: 1 0", "2: 0 -Inf"},
		{"Sqrt", "", 13, "2: 9 -1", "2: 3 NaN"},
		{"Reciprocal", "", 13, "2: 4 0", "2: 0.25 +Inf"},
		{"Erf", "", 13, "2: 0 0.5", "2: 0 0.5204999"},
		{"Tanh", "", 13, "2: 0 1", "2: 0 0.7615942"},
		{"Sigmoid", "", 13, "2: 0 1", "2: 0.5 0.7310586"},
		{"Sin", "", 13, "1: 1", "1: 0.84147098"},
		{"Cos", "", 13, "1: 1", "1: 0.54030231"},
		{"Relu", "", 14, "2: -1 1", "2: 0 1"},
		{"LeakyRelu", "alpha=0.5", 16, "2: -1 1", "2: -0.5 1"},
		{"Elu", "", 6, "2: -1 1", "2: -0.63212056 1"},
		{"Gelu", "", 20, "2: 1 -1", "2: 0.84134475 -0.15865525"},
		{"Gelu", "approximate=tanh", 20, "1: 1", "1: 0.841192"},
		{"Gelu", "approximate=5", 20, "1: 1", "error: attribute \"approximate\" is of the wrong type"},
		{"HardSigmoid", "", 6, "3: -9 0 9", "3: 0 0.5 1"},
		{"HardSwish", "", 14, "2: -9 3", "2: 0 3"},
		{"Silu", "", 24, "1: 1", "1: 0.7310586"},
		{"Swish", "alpha=2.0", 24, "1: 1", "1: 0.880797"},
		{"Mish", "", 18, "1: 1", "1: 0.86509836"},
		{"Softplus", "", 1, "1: 0", "1: 0.6931472"},
		{"Softsign", "", 1, "1: 1", "1: 0.5"},
		{"IsNaN", "", 13, "3: 1 NaN +Inf", "bool 3: 0 1 0"},
		{"IsInf", "", 10, "3: 1 -Inf +Inf", "bool 3: 0 1 1"},
		{"IsInf", "detect_negative=0", 10, "3: 1 -Inf +Inf", "bool 3: 0 0 1"},
		{"Clip", "", 13, "3: -5 0 5 | : -1 | : 1", "3: -1 0 1"},
		{"Clip", "", 13, "3: -5 0 5 | - | : 1", "3: -5 0 1"},
		{"Clip", "", 13, "i64 3: -5 0 5 | i64: -1", "i64 3: -1 0 5"},
		{"Clip", "", 13, "3: -5 0 5 | i64: -1", "error: min is I64[]"},
		{"Clip", "min=-0.5 max=0.5", 10, "3: -5 0 5", "3: -0.5 0 0.5"},
		{"Dropout", "", 13, "2: 1 2 | : 0.5 | bool: 0", "2: 1 2 | bool 2: 1 1"},
		{"Dropout", "", 13, "2: 1 2 | : 0.5 | bool: 1", "error: training"},
		{"Identity", "", 13, "2: 1 2", "2: 1 2"},
	})
}

func TestLogic(t *testing.T) {
	evalAll(t, []opCase{
		{"Equal", "", 13, "i64 3: 1 2 3 | i64: 2", "bool 3: 0 1 0"},
		{"Equal", "", 13, "2: NaN 1 | 2: NaN 1", "bool 2: 0 1"},
		{"Equal", "", 13, "i64 1: 1 | 1: 1", "error: element types I64 and F32 differ"},
		{"Greater", "", 13, "2: 1 2 | : 1", "bool 2: 0 1"},
		{"GreaterOrEqual", "", 16, "2: 1 0 | : 1", "bool 2: 1 0"},
		{"Less", "", 13, "i64 2: 1 2 | i64: 2", "bool 2: 1 0"},
		{"LessOrEqual", "", 16, "2: 1 2 | : 1", "bool 2: 1 0"},
		{"And", "", 7, "bool 2x1: 1 0 | bool 2: 1 0", "bool 2x2: 1 0 0 0"},
		{"Or", "", 7, "bool 4: 0 0 1 1 | bool 4: 0 1 0 1", "bool 4: 0 1 1 1"},
		{"Xor", "", 7, "bool 4: 0 0 1 1 | bool 4: 0 1 0 1", "bool 4: 0 1 1 0"},
		{"And", "", 7, "i64 1: 1 | i64 1: 1", "error: want BOOL"},
		{"Not", "", 1, "bool 2: 1 0", "bool 2: 0 1"},
		{"Where", "", 16, "bool 2x1: 1 0 | : 5 | 3: 1 2 3", "2x3: 5 5 5 1 2 3"},
		{"Where", "", 16, "i64 1: 1 | : 5 | : 1", "error: want BOOL"},
		{"Cast", "to=7", 13, "5: 1.9 -1.9 NaN +Inf -0.5", "i64 5: 1 -1 0 9223372036854775807 0"},
		{"Cast", "to=3", 13, "i64 3: 300 -200 5", "i8 3: 44 56 5"},
		{"Cast", "to=9", 13, "3: 0 0.1 -2", "bool 3: 0 1 1"},
		{"Cast", "to=1", 13, "bool 2: 1 0", "2: 1 0"},
		{"Cast", "to=10", 13, "7: 0.1 65519 65520 -1e9 6e-8 1e-9 3e-5", "f16 7: 0.099975586 65504 +Inf -Inf 5.9604645e-08 0 3.0040741e-05"},
		{"Cast", "to=16", 13, "2: 1.00390625 3.39e38", "bf16 2: 1 3.3895314e38"},
		{"Cast", "to=8", 13, "1: 1", "error: element type number 8"},
		{"CastLike", "", 15, "2: 1.5 2 | i32 1: 0", "i32 2: 1 2"},
	})
}

func TestCreating(t *testing.T) {
	evalAll(t, []opCase{
		{"Constant", "value_int=3", 13, "", "i64: 3"},
		{"Constant", "value_float=1.5", 13, "", ": 1.5"},
		{"Constant", "value_ints=[1,2]", 13, "", "i64 2: 1 2"},
		{"Constant", "", 13, "", "error: no value"},
		{"ConstantOfShape", "", 9, "i64 2: 2 2", "2x2: 0 0 0 0"},
		{"ConstantOfShape", "", 9, "i64 0:", ": 0"},
		{"ConstantOfShape", "", 9, "i64 2: 2 0", "2x0:"},
		{"ConstantOfShape", "", 9, "i64 1: -1", "error: [-1]"},
		{"ConstantOfShape", "", 9, "i64 1: 4611686018427387904", "error: over the budget"},
		{"ConstantOfShape", "", 9, "i64 2: 4611686018427387904 4611686018427387904", "error: over the budget"},
		{"Range", "", 11, "i64: 0 | i64: 5 | i64: 2", "i64 3: 0 2 4"},
		{"Range", "", 11, ": 1 | : 0 | : -0.25", "4: 1 0.75 0.5 0.25"},
		{"Range", "", 11, "i64: 0 | i64: -5 | i64: 2", "i64 0:"},
		{"Range", "", 11, "i64: 0 | i64: 9223372036854775807 | i64: 1", "error: over the budget"},
		{"Range", "", 11, "i64: 0 | i64: 5 | i64: 0", "error: over the budget"},
		{"Range", "", 11, "i64: 0 | i64: 0 | i64: 0", "error: over the budget"},
		{"Shape", "", 13, "2x3: 1 2 3 4 5 6", "i64 2: 2 3"},
		{"Shape", "start=-1", 15, "2x3: 1 2 3 4 5 6", "i64 1: 3"},
		{"Shape", "start=1 end=-1", 15, "2x3: 1 2 3 4 5 6", "i64 0:"},
		{"Size", "", 13, "2x3: 1 2 3 4 5 6", "i64: 6"},
		{"EyeLike", "k=1", 9, "i64 2x3: 1 2 3 4 5 6", "i64 2x3: 0 1 0 0 0 1"},
	})
}

func TestMoving(t *testing.T) {
	evalAll(t, []opCase{
		{"Reshape", "", 13, "2x3: 1 2 3 4 5 6 | i64 2: 3 -1", "3x2: 1 2 3 4 5 6"},
		{"Reshape", "", 13, "2x3: 1 2 3 4 5 6 | i64 3: 0 1 -1", "2x1x3: 1 2 3 4 5 6"},
		{"Reshape", "", 13, "2x3: 1 2 3 4 5 6 | i64 1: 5", "error: does not reshape to [5]"},
		{"Reshape", "", 13, "2x3: 1 2 3 4 5 6 | i64 2: -1 -1", "error: shape [-1 -1]"},
		{"Reshape", "", 13, "2x3: 1 2 3 4 5 6 | i64 2: 4611686018427387904 4", "error: does not reshape"},
		{"Reshape", "", 13, "2x3: 1 2 3 4 5 6 | i64 3: 2 3 0", "error: is not there"},
		{"Reshape", "", 13, "0x3: | i64 2: 0 -1", "error: does not reshape"},
		{"Reshape", "allowzero=1", 14, "0x3: | i64 2: 3 0", "3x0:"},
		{"Reshape", "", 13, "1x1: 5 | i64 0:", ": 5"},
		{"Flatten", "axis=-1", 13, "1x2x2: 1 2 3 4", "2x2: 1 2 3 4"},
		{"Flatten", "axis=0", 13, "2: 1 2", "1x2: 1 2"},
		{"Flatten", "axis=2", 13, "2: 1 2", "error: axis 2 of rank 1"},
		{"Squeeze", "", 13, "1x2x1: 1 2", "2: 1 2"},
		{"Squeeze", "", 13, "1x2x1: 1 2 | i64 1: -1", "1x2: 1 2"},
		{"Squeeze", "axes=[0]", 11, "1x2x1: 1 2", "2x1: 1 2"},
		{"Squeeze", "", 13, "1x2: 1 2 | i64 1: 1", "error: dimension 1, which is 2"},
		{"Unsqueeze", "", 13, "2: 1 2 | i64 2: 0 -1", "1x2x1: 1 2"},
		{"Unsqueeze", "axes=[1]", 11, "2: 1 2", "2x1: 1 2"},
		{"Unsqueeze", "", 13, "2: 1 2 | i64 2: 0 0", "error: axis 0 stands twice"},
		{"Unsqueeze", "", 13, "2: 1 2", "error: no axes"},
		{"Transpose", "", 13, "2x3: 1 2 3 4 5 6", "3x2: 1 4 2 5 3 6"},
		{"Transpose", "perm=[1,2,0]", 13, "2x1x2: 1 2 3 4", "1x2x2: 1 3 2 4"},
		{"Transpose", "perm=[0,0]", 13, "1x2: 1 2", "error: axis 0 stands twice"},
		{"Transpose", "perm=[0]", 13, "1x2: 1 2", "error: perm [0] of rank 2"},
		{"Concat", "axis=-1", 13, "2x1: 1 2 | 2x2: 3 4 5 6", "2x3: 1 3 4 2 5 6"},
		{"Concat", "axis=0", 13, "0x2: | 1x2: 3 4", "1x2: 3 4"},
		{"Concat", "axis=0", 13, "1x1: 1 | 1x2: 3 4", "error: input 1 (F32[1 2]) joins F32[1 1]"},
		{"Split", "", 13, "3: 1 2 3 | i64 2: 1 2", "1: 1 | 2: 2 3"},
		{"Split", "split=[2,1]", 11, "3: 1 2 3", "2: 1 2 | 1: 3"},
		{"Split", "num_outputs=2", 18, "3: 1 2 3", "2: 1 2 | 1: 3"},
		{"Split", "", 13, "3: 1 2 3 | i64 2: 1 1", "error: split of dimension 3 into [1 1]"},
		{"Slice", "", 13, "4: 1 2 3 4 | i64 1: -3 | i64 1: 9223372036854775807", "3: 2 3 4"},
		{"Slice", "", 13, "4: 1 2 3 4 | i64 1: -1 | i64 1: -9223372036854775808 | i64 1: 0 | i64 1: -2", "2: 4 2"},
		{"Slice", "", 13, "2x2: 1 2 3 4 | i64 1: 1 | i64 1: 2 | i64 1: -1", "2x1: 2 4"},
		{"Slice", "starts=[0] ends=[1]", 9, "2x2: 1 2 3 4", "1x2: 1 2"},
		{"Slice", "", 13, "2: 1 2 | i64 1: 2 | i64 1: 1", "0:"},
		{"Slice", "", 13, "2: 1 2 | i64 1: 0 | i64 1: 1 | i64 1: 0 | i64 1: 0", "error: step 0"},
		{"Slice", "", 13, "2: 1 2 | i64 1: 0 | i64 2: 1 1", "error: 1 starts, 2 ends"},
		{"Expand", "", 13, "2x1: 1 2 | i64 3: 2 1 2", "2x2x2: 1 1 2 2 1 1 2 2"},
		{"Expand", "", 13, "2: 1 2 | i64 1: 1", "2: 1 2"},
		{"Expand", "", 13, "1: 1 | i64 1: 0", "0:"},
		{"Expand", "", 13, "1: 1 | i64 2: 1073741824 1073741824", "error: over the budget"},
		{"Expand", "", 13, "1: 1 | i64 1: -1", "error: expand to [-1]"},
		{"Tile", "", 13, "1x2: 1 2 | i64 2: 2 2", "2x4: 1 2 1 2 1 2 1 2"},
		{"Tile", "", 13, "1: 1 | i64 1: 9223372036854775807", "error: over the budget"},
		{"Tile", "", 13, "2: 1 2 | i64 1: 9223372036854775807", "error: tile"},
		{"Pad", "", 13, "2: 1 2 | i64 2: 1 2 | : 9", "5: 9 1 2 9 9"},
		{"Pad", "", 13, "3: 1 2 3 | i64 2: -1 0", "2: 2 3"},
		{"Pad", "mode=reflect", 13, "3: 1 2 3 | i64 2: 2 2", "7: 3 2 1 2 3 2 1"},
		{"Pad", "mode=edge", 13, "2: 1 2 | i64 2: 2 1", "5: 1 1 1 2 2"},
		{"Pad", "mode=wrap", 19, "2: 1 2 | i64 2: 1 1", "4: 2 1 2 1"},
		{"Pad", "", 18, "1x2: 1 2 | i64 2: 1 0 | - | i64 1: -1", "1x3: 0 1 2"},
		{"Pad", "pads=[0,1] value=3.0", 10, "1: 1", "2: 1 3"},
		{"Pad", "", 13, "1: 1 | i64 2: 4611686018427387904 4611686018427387904", "error: over the budget"},
		{"Pad", "mode=odd", 13, "1: 1 | i64 2: 1 1", "error: mode"},
		{"Trilu", "", 14, "2x2: 1 2 3 4", "2x2: 1 2 0 4"},
		{"Trilu", "upper=0", 14, "2x2: 1 2 3 4 | i64: -1", "2x2: 0 0 3 0"},
		{"Trilu", "", 14, "2x2: 1 2 3 4 | i64: 9223372036854775807", "2x2: 0 0 0 0"},
		{"CumSum", "", 14, "i64 1x3: 1 2 3 | i64: -1", "i64 1x3: 1 3 6"},
		{"CumSum", "exclusive=1 reverse=1", 14, "3: 1 2 3 | i64: 0", "3: 5 3 0"},
	})
}

func TestGathering(t *testing.T) {
	evalAll(t, []opCase{
		{"Gather", "", 13, "2x2: 1 2 3 4 | i64 3: 1 -2 0", "3x2: 3 4 1 2 1 2"},
		{"Gather", "axis=1", 13, "2x2: 1 2 3 4 | i64: 1", "2: 2 4"},
		{"Gather", "axis=-1", 13, "i8 1x3: 1 2 3 | i32 1x2: 2 0", "i8 1x1x2: 3 1"},
		{"Gather", "", 13, "2: 1 2 | i64 1: 2", "error: index 2 into 2"},
		{"Gather", "", 13, "2: 1 2 | 1: 1", "error: indices are F32[1]"},
		{"Gather", "", 13, "0x2: | i64 0:", "0x2:"},
		{"GatherElements", "axis=1", 13, "2x2: 1 2 3 4 | i64 2x2: 0 0 1 0", "2x2: 1 1 4 3"},
		{"GatherElements", "", 13, "1x1: 1 | i64 1x2: 0 0", "error: indices I64[1 2] into F32[1 1]"},
		{"GatherND", "", 13, "2x2: 1 2 3 4 | i64 2x2: 0 1 1 -2", "2: 2 3"},
		{"GatherND", "batch_dims=1", 13, "2x2: 1 2 3 4 | i64 2x1: 1 0", "2: 2 3"},
		{"GatherND", "", 13, "2x2: 1 2 3 4 | i64 1x1: 1", "1x2: 3 4"},
		{"GatherND", "", 13, "2: 1 2 | i64 1x2: 0 0", "error: indices are"},
		{"ScatterElements", "axis=1", 18, "1x3: 1 2 3 | i64 1x2: 2 0 | 1x2: 7 8", "1x3: 8 2 7"},
		{"ScatterElements", "reduction=add", 18, "2: 1 2 | i64 2: 0 0 | 2: 7 8", "2: 16 2"},
		{"ScatterElements", "reduction=odd", 18, "2: 1 2 | i64 2: 0 0 | 2: 7 8", "error: reduction"},
		{"ScatterND", "", 18, "2x2: 1 2 3 4 | i64 1x1: 1 | 1x2: 7 8", "2x2: 1 2 7 8"},
		{"ScatterND", "reduction=max", 18, "i64 2: 1 9 | i64 2x1: 0 1 | i64 2: 5 5", "i64 2: 5 9"},
		{"ScatterND", "", 18, "2: 1 2 | i64 1x1: 2 | 1: 7", "error: index 2 into 2"},
		{"OneHot", "", 11, "i64 3: 0 -1 5 | i64: 2 | 2: 0 1", "3x2: 1 0 0 1 0 0"},
		{"OneHot", "axis=0", 11, "i64 2: 0 1 | i64: 2 | i64 2: 0 1", "i64 2x2: 1 0 0 1"},
		{"OneHot", "", 11, "i64 1: 0 | i64: 9223372036854775807 | 2: 0 1", "error: depth"},
		{"ArgMax", "axis=1", 13, "2x2: 1 2 4 3", "i64 2x1: 1 0"},
		{"ArgMax", "keepdims=0 select_last_index=1", 13, "i64 3: 1 2 2", "i64: 2"},
		{"ArgMin", "axis=-1 keepdims=0", 13, "1x3: 1 0 0", "i64 1: 1"},
		{"ArgMax", "", 13, "0:", "error: largest of none"},
		{"TopK", "", 11, "4: 1 4 2 4 | i64 1: 3", "3: 4 4 2 | i64 3: 1 3 2"},
		{"TopK", "largest=0 axis=0", 11, "2x2: 3 1 2 4 | i64 1: 1", "1x2: 2 1 | i64 1x2: 1 0"},
	})
}

func TestProducts(t *testing.T) {
	evalAll(t, []opCase{
		{"MatMul", "", 13, "2x2: 1 2 3 4 | 2x1: 1 10", "2x1: 21 43"},
		{"MatMul", "", 13, "2: 1 2 | 2: 3 4", ": 11"},
		{"MatMul", "", 13, "2: 1 2 | 2x1: 3 4", "1: 11"},
		{"MatMul", "", 13, "2x1x2: 1 2 3 4 | 2x1: 1 1", "2x1x1: 3 7"},
		{"MatMul", "", 13, "2x1x1x1: 1 2 | 2x1x1: 3 4", "2x2x1x1: 3 4 6 8"},
		{"MatMul", "", 13, "1x0: | 0x2:", "1x2: 0 0"},
		{"MatMul", "", 13, "1x2: 1 2 | 1x2: 1 2", "error: product of 2 columns and 1 rows"},
		{"MatMul", "", 13, ": 1 | 1: 2", "error: product of a scalar"},
		{"MatMul", "", 13, "100x1: " + strings.Repeat("1 ", 100) + "| 1x100: " + strings.Repeat("1 ", 100), "error: over the budget"},
		{"MatMul", "", 13, "f16 1x2: 2048 1 | f16 2x1: 1 1", "f16 1x1: 2048"},
		{"MatMul", "", 13, "i64 1x1: 4 | i64 1x1: 5", "i64 1x1: 20"},
		{"Gemm", "transB=1 alpha=2.0 beta=0.5", 13, "1x2: 1 2 | 1x2: 3 4 | 1: 10", "1x1: 27"},
		{"Gemm", "transA=1", 13, "2x1: 1 2 | 2x2: 1 2 3 4", "1x2: 7 10"},
		{"Gemm", "", 13, "1x1: 1 | 1x1: 1 | 2x1: 1 1", "error: bias F32[2 1]"},
		{"Gemm", "", 13, "1: 1 | 1x1: 1", "error: is no matrix"},
		{"MatMulInteger", "", 10, "u8 1x2: 255 1 | i8 2x1: -128 2 | u8: 5 | i8: 1", "i32 1x1: -32254"},
		{"MatMulInteger", "", 10, "u8 1x1: 3 | i8 1x2: 4 5 | - | i8 2: 1 2", "i32 1x2: 9 9"},
		{"MatMulInteger", "", 10, "u8 2x1: 3 4 | u8 1x1: 4 | u8 2: 1 2", "i32 2x1: 8 8"},
		{"MatMulInteger", "", 10, "u8 1x1: 3 | i8 1x2: 4 5 | - | i8 3: 1 2 3", "error: zero point I8[3] for 2 lines of I8"},
		{"MatMulInteger", "", 10, "1x1: 3 | i8 1x1: 4", "error: codes of type F32"},
		{"Einsum", "equation=bij,bkj->bik", 12, "1x1x2: 1 2 | 1x2x2: 1 1 2 2", "1x1x2: 3 6"},
		{"Einsum", "equation=...ij,...jk", 12, "1x1x2: 1 2 | 1x2x1: 1 1", "1x1x1: 3"},
		{"Einsum", "equation=ii", 12, "2x2: 1 2 3 4", ": 5"},
		{"Einsum", "equation=i,j->ji", 12, "2: 1 2 | 1: 3", "1x2: 3 6"},
		{"Einsum", "equation=i,i", 12, "2: 1 2 | 3: 1 2 3", "error: 'i' is 2 and 3"},
		{"Einsum", "equation=ij->k", 12, "1x1: 1", "error: result \"k\""},
		{"Einsum", "equation=i", 12, "1x1: 1", "error: \"i\" for F32[1 1]"},
		{"com.microsoft.FusedGemm", "activation=Relu", 1, "1x1: 1 | 1x2: -2 2 | 2: 1 1", "1x2: 0 3"},
		{"com.microsoft.FusedGemm", "activation=LeakyRelu activation_alpha=0.5", 1, "1x1: 1 | 1x2: -2 2", "1x2: -1 2"},
		{"com.microsoft.FusedGemm", "activation=odd", 1, "1x1: 1 | 1x2: -2 2", "error: activation \"odd\""},
		{"com.microsoft.FusedMatMul", "transB=1 alpha=2.0", 1, "1x2: 1 2 | 1x2: 3 4", "1x1: 22"},
	})
}

func TestReductions(t *testing.T) {
	evalAll(t, []opCase{
		{"ReduceSum", "", 13, "2x2: 1 2 3 4 | i64 1: 0", "1x2: 4 6"},
		{"ReduceSum", "keepdims=0", 13, "2x2: 1 2 3 4", ": 10"},
		{"ReduceSum", "keepdims=0 axes=[-1]", 11, "2x2: 1 2 3 4", "2: 3 7"},
		{"ReduceSum", "noop_with_empty_axes=1", 13, "2: 1 2", "2: 1 2"},
		{"ReduceSum", "noop_with_empty_axes=1", 13, "2: 1 2 | i64 0:", "2: 1 2"},
		{"ReduceSum", "", 13, "2: 1 2 | i64 0:", "1: 3"},
		{"ReduceSum", "", 13, "2x0: | i64 1: 1", "2x1: 0 0"},
		{"ReduceSum", "", 13, "2: 1 2 | i64 1: 1", "error: axis 1 of rank 1"},
		{"ReduceSum", "", 13, "i32 2: 2147483647 1", "i32 1: -2147483648"},
		{"ReduceMean", "axes=[1]", 13, "2x2: 1 2 3 5", "2x1: 1.5 4"},
		{"ReduceMean", "", 18, "i64 2: 1 4", "i64 1: 2"},
		{"ReduceMean", "", 18, "i64 0:", "error: of no integers"},
		{"ReduceMax", "", 18, "2: 1 NaN", "1: NaN"},
		{"ReduceMax", "", 18, "i64 2x2: 1 7 3 4 | i64 1: -1", "i64 2x1: 7 4"},
		{"ReduceMin", "", 18, "2x0: | i64 1: 1", "2x1: +Inf +Inf"},
		{"ReduceProd", "", 18, "i64 3: 2 3 4", "i64 1: 24"},
		{"ReduceL1", "", 18, "2: -3 4", "1: 7"},
		{"ReduceL2", "", 18, "2: -3 4", "1: 5"},
		{"ReduceL2", "", 18, "i64 2: -3 4", "error: element type I64"},
		{"ReduceSumSquare", "", 18, "2: -3 4", "1: 25"},
		{"ReduceLogSum", "", 18, "2: 1 1", "1: 0.6931472"},
		{"ReduceLogSumExp", "", 18, "2: 1000 1000", "1: 1000.6931"},
	})
}

func TestNormalising(t *testing.T) {
	evalAll(t, []opCase{
		{"Softmax", "", 13, "2x2: 0 0 1000 0", "2x2: 0.5 0.5 1 0"},
		{"Softmax", "axis=0", 13, "2x2: 0 0 0 1000", "2x2: 0.5 0 0.5 1"},
		{"Softmax", "", 11, "1x2x2: 0 0 0 0", "1x2x2: 0.25 0.25 0.25 0.25"},
		{"Softmax", "axis=2", 11, "1x2x2: 0 0 0 0", "1x2x2: 0.5 0.5 0.5 0.5"},
		{"Softmax", "", 13, "0x2:", "0x2:"},
		{"Softmax", "axis=1", 13, "2: 1 2", "error: axis 1 of rank 1"},
		{"LogSoftmax", "", 13, "2: 0 0", "2: -0.6931472 -0.6931472"},
		{"LayerNormalization", "epsilon=0.0", 17, "1x2: 1 3 | 2: 2 2 | 2: 1 1", "1x2: -1 3 | 1x1: 2 | 1x1: 1"},
		{"LayerNormalization", "epsilon=8.0", 17, "1x2: 1 3 | 2: 3 3", "1x2: -1 1"},
		{"LayerNormalization", "axis=0 epsilon=0.0", 17, "2x1: 1 3 | 2x1: 1 2", "2x1: -1 2"},
		{"LayerNormalization", "", 17, "1x2: 1 3 | 3: 1 1 1", "error: does not stretch"},
		{"LayerNormalization", "", 17, "1x2: 1 3 | f16 2: 1 1", "error: element types"},
		{"SimplifiedLayerNormalization", "epsilon=0.0", 1, "1x2: 3 4 | 2: 5 5", "1x2: 4.2426405 5.6568543"},
		{"RMSNormalization", "epsilon=0.0", 23, "1x2: 3 4 | 2: 5 5", "1x2: 4.2426405 5.6568543"},
		{"LpNormalization", "", 1, "2x2: 3 4 0 0", "2x2: 0.6 0.8 0 0"},
		{"com.microsoft.SkipLayerNormalization", "epsilon=0.0", 1, "1x2: 0 2 | 1x2: 1 0 | 2: 1 1 | 2: 1 1 | 2: 0 1", "1x2: 0 2 | 1x1: 2 | 1x1: 1 | 1x2: 1 3"},
		{"com.microsoft.EmbedLayerNormalization", "epsilon=0.0", 1,
			"i32 1x1: 1 | i32 1x1: 0 | 2x2: 0 0 1 2 | 1x2: 0 1 | 1x2: 0 0 | 2: 1 1 | 2: 0 0 | i32 1x1: 1", "1x1x2: -1 1 | i32 1: 1 | 1x1x2: 1 3"},
	})
}

func TestQuantising(t *testing.T) {
	evalAll(t, []opCase{
		{"QuantizeLinear", "", 13, "5: 0.5 1.5 2.5 1000 -1000 | : 1 | i8: 1", "i8 5: 1 3 3 127 -128"},
		{"QuantizeLinear", "", 13, "2: -1 300 | : 1", "u8 2: 0 255"},
		{"QuantizeLinear", "axis=0", 13, "2x1: 4 4 | 2: 1 2 | u8 2: 0 5", "u8 2x1: 4 7"},
		{"QuantizeLinear", "axis=0", 13, "2x1: 4 4 | 3: 1 2 3", "error: scale F32[3] for axis 0"},
		{"QuantizeLinear", "output_dtype=3", 21, "1: -1 | : 1", "i8 1: -1"},
		{"QuantizeLinear", "block_size=2", 21, "2: 1 2 | 1: 1", "error: block_size 2"},
		{"DequantizeLinear", "", 13, "i8 2: -128 127 | : 0.5 | i8: -1", "2: -63.5 64"},
		{"DequantizeLinear", "axis=1", 13, "u8 1x2: 4 4 | 2: 1 2 | u8 2: 0 5", "1x2: 4 -2"},
		{"DequantizeLinear", "", 13, "i32 1: 100 | : 0.5", "1: 50"},
		{"DequantizeLinear", "", 13, "i8 1: 1 | : 0.5 | u8: 1", "error: zero point of type U8"},
		{"DequantizeLinear", "", 13, "1: 1 | : 0.5", "error: codes of type F32"},
		{"DynamicQuantizeLinear", "", 11, "3: 0 255 127.5", "u8 3: 0 255 128 | : 1 | u8: 0"},
		{"DynamicQuantizeLinear", "", 11, "2: 100 255", "u8 2: 100 255 | : 1 | u8: 0"},
		{"DynamicQuantizeLinear", "", 11, "2: -51 204", "u8 2: 0 255 | : 1 | u8: 51"},
		{"DynamicQuantizeLinear", "", 11, "2: 0 0", "u8 2: 0 0 | : 1 | u8: 0"},
		{"DynamicQuantizeLinear", "", 11, "0:", "u8 0: | : 1 | u8: 0"},
		{"com.microsoft.MatMulIntegerToFloat", "", 1, "u8 1x1: 5 | i8 1x2: 3 4 | : 0.5 | 2: 1 2 | u8: 1 | i8 2: 1 1 | 2: 100 200", "1x2: 104 212"},
		{"com.microsoft.DynamicQuantizeMatMul", "", 1, "1x2: 0 255 | i8 2x1: 3 4 | : 0.5 | i8: 1 | 1: 1", "1x1: 383.5"},
	})
}

func TestTransformers(t *testing.T) {
	evalAll(t, []opCase{
		{"com.microsoft.Gelu", "", 1, "1: 1", "1: 0.84134475"},
		{"com.microsoft.BiasGelu", "", 1, "1x1: 0.5 | 1: 0.5", "1x1: 0.84134475"},
		{"com.microsoft.FastGelu", "", 1, "1x1: 0.5 | 1: 0.5", "1x1: 0.841192"},
		{"com.microsoft.QuickGelu", "alpha=1.0", 1, "1: 1", "1: 0.7310586"},
		// Two tokens, one head of one column; both keys are alike, so that the answer is
		// the mean of the values, or the one value that the mask leaves.
		{"com.microsoft.Attention", "num_heads=1", 1, "1x2x1: 1 3 | 1x3: 0 0 2 | 3: 0 0 1", "1x2x1: 5 5"},
		{"com.microsoft.Attention", "num_heads=1", 1, "1x2x1: 1 3 | 1x3: 0 0 2 | 3: 0 0 1 | i32 1: 1", "1x2x1: 3 3"},
		{"com.microsoft.Attention", "num_heads=1", 1, "1x2x1: 1 3 | 1x3: 0 0 2 | 3: 0 0 1 | i32 1x2: 0 1", "1x2x1: 7 7"},
		{"com.microsoft.Attention", "num_heads=1 unidirectional=1", 1, "1x2x1: 1 3 | 1x3: 0 0 2 | 3: 0 0 1", "1x2x1: 3 5"},
		{"com.microsoft.Attention", "num_heads=2", 1, "1x2x1: 1 3 | 1x3: 0 0 2 | 3: 0 0 1", "error: 2 heads"},
		{"com.microsoft.Attention", "num_heads=1", 1, "1x2x1: 1 3 | 1x3: 0 0 2 | 3: 0 0 1 | i32 3: 1 1 1", "error: mask I32[3]"},
		{"com.microsoft.MultiHeadAttention", "num_heads=1", 1, "1x1x1: 1 | 1x2x1: 0 0 | 1x2x1: 1 3 | 3: 0 0 1", "1x1x1: 3"},
		{"com.microsoft.RotaryEmbedding", "", 1, "1x1x1x2: 3 4 | i64 1: 0 | 1x1: 0 | 1x1: 1", "1x1x1x2: -4 3"},
		{"com.microsoft.RotaryEmbedding", "interleaved=1", 1, "1x1x1x2: 3 4 | i64 1: 0 | 1x1: 0 | 1x1: 1", "1x1x1x2: -4 3"},
	})
}

// TestRefusals: what is not known is named.
func TestRefusals(t *testing.T) {
	evalAll(t, []opCase{
		{"Frobnicate", "", 14, "", `error: node "it" (Frobnicate): operator Frobnicate of domain "" (version 14) is not known`},
		{"com.example.MatMul", "", 1, "1: 1 | 1: 1", `error: domain "com.example"`},
		{"Loop", "", 16, "", "error: operator Loop"},
		{"Add", "", 14, "1: 1 | 1: 1 | 1: 1", "error: 3 inputs, want at most 2"},
		{"Softmax", "axis=1.5", 13, "2: 1 2", `error: attribute "axis" is of the wrong type`},
	})
}
