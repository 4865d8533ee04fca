"""Writes small ONNX models of one node each, and what onnxruntime makes of them.

    python ops.py FOLDER SEED [only]

FOLDER gets NNNN.onnx and cases.safetensors, which holds the inputs as NNNN.in.NAME
and the outputs as NNNN.out.NAME. Where onnxruntime has no kernel, the reference
evaluator of the onnx package answers. A line of JSON per case goes to stdout.
"""
import json
import os
import sys
import warnings

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from safetensors.numpy import save_file

warnings.simplefilter("ignore")
onnxruntime.set_default_logger_severity(4)
folder, rng = sys.argv[1], np.random.default_rng(int(sys.argv[2]))
only = sys.argv[3] if len(sys.argv) > 3 else ""
F, H, D = np.float32, np.float16, np.float64
I8, U8, I16, U16, I32, I64, B = np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.bool_
cases = []


def case(op, inputs, opset=17, outputs=1, domain="", **attrs):
    if not only or op in only.split(","):
        cases.append((op, inputs, opset, outputs, domain, attrs))


def floats(*shape, t=F, scale=1.0):
    return np.asarray(rng.standard_normal(shape) * scale).astype(t)


def ints(*shape, t=I64, low=-9, high=9):
    return rng.integers(low, high, shape).astype(t)


def bools(*shape):
    return rng.random(shape) < 0.5


def vec(*values, t=I64):
    return np.array(values, t)


def scalar(v, t=I64):
    return np.array(v, t)


PAIRS = [((2, 3), (2, 3)), ((2, 3), (3,)), ((3, 1), (1, 4)), ((), (2, 2)), ((2, 1, 3), (4, 1)), ((0, 3), (1, 3)), ((2, 0), (1,)), ((), ())]


def arithmetic():
    for a, b in PAIRS:
        for op in ["Add", "Sub", "Mul", "Div"]:
            for opset in (11, 14, 21):
                case(op, [floats(*a), floats(*b)], opset)
            case(op, [floats(*a, t=H), floats(*b, t=H)])
            case(op, [floats(*a, t=D), floats(*b, t=D)])
        for op in ["Add", "Sub", "Mul"]:
            for t in (I32, I64):
                case(op, [ints(*a, t=t), ints(*b, t=t)])
        for t in (I32, I64, I8, U8):
            case("Div", [ints(*a, t=t, high=90), ints(*b, t=t, low=1)])
        case("Div", [ints(*a), np.asarray(-ints(*b, low=1)).astype(I64)])
        for op in ["Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"]:
            case(op, [ints(*a, low=-2, high=2), ints(*b, low=-2, high=2)])
            case(op, [ints(*a, t=I32, low=-2, high=2), ints(*b, t=I32, low=-2, high=2)], 13)
            case(op, [ints(*a, low=-2, high=2).astype(F), ints(*b, low=-2, high=2).astype(F)])
        case("Equal", [bools(*a), bools(*b)], 13)
        for op in ["And", "Or", "Xor"]:
            case(op, [bools(*a), bools(*b)])
        for t in (F, D, I32, I64, H):
            case("Max", [ints(*a).astype(t), ints(*b).astype(t)])
            case("Min", [ints(*a).astype(t), ints(*b).astype(t)])
        case("Pow", [np.abs(floats(*a)), floats(*b)])
        case("Pow", [floats(*a), ints(*b, low=0, high=4)], 15)
        case("Pow", [ints(*a), ints(*b, low=0, high=4)], 13)
        case("Pow", [ints(*a, t=I32), ints(*b, low=0, high=4).astype(F)], 15)
        case("Mod", [ints(*a), ints(*b, low=1)])
        case("Mod", [ints(*a, t=I32), np.asarray(-ints(*b, low=1)).astype(I32)])
        case("Mod", [ints(*a), ints(*b, low=1)], fmod=1)
        case("Mod", [floats(*a), floats(*b)], fmod=1)
        case("Where", [bools(*b), floats(*a), floats(*b)])
        case("Where", [bools(*a), ints(*b), scalar(7)])
        case("Where", [bools(*a), bools(*b), bools()], 16)
        case("PRelu", [floats(*a), np.asarray(floats(*a[-1:]))])
    for op in ["Max", "Min", "Sum", "Mean"]:
        case(op, [floats(2, 3)])
        case(op, [floats(2, 3), floats(3), floats(4, 1, 1)])
    case("Max", [vec(1, np.nan, 2, t=F), vec(np.nan, 0, 3, t=F)])
    case("Add", [vec(2**62), vec(2**62)])
    case("Mul", [vec(2**31 - 1, t=I32), vec(3, t=I32)])
    case("Div", [vec(1, -1, 0, t=F), vec(0, 0, 0, t=F)])
    for a, b in [(F, D), (I64, I32), (F, H), (I64, F)]:
        case("Add", [np.ones(2, a), np.ones(2, b)])
    case("Add", [floats(2), floats(3)])
    case("Div", [ints(2), vec(1, 0)])


def unary():
    shapes = [(2, 3), (), (0, 4), (7,)]
    for s in shapes:
        for op in ["Abs", "Neg", "Sign", "Ceil", "Floor", "Round", "Exp", "Erf", "Tanh", "Sigmoid", "Sin", "Cos", "Relu", "Reciprocal", "Softplus",
                   "Softsign", "Elu", "LeakyRelu", "HardSigmoid", "HardSwish", "Identity", "IsNaN", "IsInf", "Shape", "Size"]:
            case(op, [floats(*s, scale=3)])
        case("Relu", [floats(*s, t=H)])
        for op in ["Sqrt", "Log"]:
            case(op, [np.abs(floats(*s))])
        for op in ["Exp", "Tanh", "Sqrt", "Erf", "Abs", "Sigmoid", "Neg"]:
            case(op, [np.abs(floats(*s, t=H))])
            case(op, [np.abs(floats(*s, t=D))])
        for t in (I8, I32, I64):
            for op in ["Abs", "Neg", "Sign"]:
                case(op, [ints(*s, t=t)])
        case("Not", [bools(*s)])
        case("Gelu", [floats(*s)], 20)
        case("Gelu", [floats(*s)], 20, approximate="tanh")
        case("Mish", [floats(*s)], 18)
        case("Swish", [floats(*s)], 24, alpha=1.5)
        for op in ["Gelu", "QuickGelu"]:
            case(op, [floats(*s)], domain="com.microsoft")
        case("FastGelu", [floats(*s)], domain="com.microsoft")
        case("Dropout", [floats(*s)], 11)
        case("Dropout", [floats(*s), scalar(0.5, F), scalar(False, B)], 13, outputs=2)
    case("Round", [vec(0.5, 1.5, 2.5, -0.5, -1.5, t=F)])
    case("Sqrt", [vec(-1, 0, np.inf, t=F)])
    case("Elu", [floats(5)], alpha=0.3)
    case("HardSigmoid", [floats(5)], alpha=0.3, beta=0.1)
    case("LeakyRelu", [floats(5)], alpha=0.3)
    case("QuickGelu", [floats(5)], domain="com.microsoft", alpha=1.1)
    odd = vec(np.nan, np.inf, -np.inf, 0, 1e30, t=F)
    for op in ["IsNaN", "IsInf", "Abs", "Neg", "Tanh", "Sigmoid", "Relu", "Erf", "Exp", "Softplus"]:
        case(op, [odd])
    case("IsInf", [odd], detect_negative=0)
    for t in (F, H, D, I32, I64, I8, U8):
        x = ints(3, 4).astype(t)
        for low, high in [(-3, 4), (-3, None), (None, 4), (None, None), (4, 1)]:
            if t == U8 and low == -3:
                low = 2
            case("Clip", [x, None if low is None else scalar(low, t), None if high is None else scalar(high, t)], 13)
    case("Clip", [floats(4)], 10, min=-0.5, max=0.5)
    case("Clip", [floats(4)], 7, min=-0.5)
    for a in (F, H, D, I8, U8, I16, U16, I32, I64, B):
        for b in (F, H, D, I8, U8, I16, U16, I32, I64, B):
            x = np.abs(ints(2, 5)).astype(a) if b in (U8, U16) else ints(2, 5).astype(a)
            if a in (F, H, D) and b in (I8, I32, I64):
                x = (floats(2, 5) * 3).astype(a)
            case("Cast", [x], 13, to=helper.np_dtype_to_tensor_dtype(np.dtype(b)))
            case("CastLike", [x, np.zeros(1, b)], 15)
    case("Cast", [floats(3, 4, scale=100)], 13, to=TensorProto.BFLOAT16)
    case("Cast", [vec(1e-8, 6e-8, 3e-5, 65519, 65520, 1e9, -1e9, 0.1, t=F)], 13, to=TensorProto.FLOAT16)
    case("Cast", [vec(300, -200, 70000)], 13, to=TensorProto.INT8)
    case("Cast", [vec(1e-40, 1e30, t=F)], 13, to=TensorProto.BOOL)


def products():
    shapes = [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 4)),
              ((2, 1, 2, 3), (5, 3, 4)), ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 3), (4, 3)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)), ((0, 2, 3), (3, 4))]
    for a, b in shapes:
        case("MatMul", [floats(*a), floats(*b)])
        case("MatMul", [floats(*a, t=H), floats(*b, t=H)])
        case("MatMul", [floats(*a, t=D), floats(*b, t=D)])
        case("MatMul", [ints(*a), ints(*b)])
        case("MatMul", [ints(*a, t=I32), ints(*b, t=I32)])
        for ta, tb in [(U8, I8), (U8, U8), (I8, I8), (I8, U8)]:
            if a == (2, 0):  # onnxruntime leaves the result as it finds it
                continue
            x, y = ints(*a, t=ta, low=0, high=127), ints(*b, t=tb, low=0, high=127)
            case("MatMulInteger", [x, y])
            case("MatMulInteger", [x, y, scalar(5, ta), scalar(3, tb)])
            if len(b) == 2 and b[1] > 1:
                case("MatMulInteger", [x, y, scalar(5, ta), ints(b[1], t=tb, low=0, high=9)])
                scale = np.abs(floats(b[1]))
                case("MatMulIntegerToFloat", [x, y, scalar(0.1, F), scale, scalar(5, ta), ints(b[1], t=tb, low=0, high=9)], domain="com.microsoft")
                case("MatMulIntegerToFloat", [x, y, scalar(0.1, F), scalar(0.2, F), None, None, floats(b[1])], domain="com.microsoft")
                case("DynamicQuantizeMatMul", [floats(*a), y, scale, ints(b[1], t=tb, low=0, high=9)], domain="com.microsoft")
                case("DynamicQuantizeMatMul", [floats(*a), y, scalar(0.2, F), None, floats(b[1])], domain="com.microsoft")
        case("FusedMatMul", [floats(*a), floats(*b)], domain="com.microsoft", alpha=0.3)
    for act in ("Relu", "Tanh", "Sigmoid"):
        case("FusedGemm", [floats(2, 3), floats(3, 4), floats(4)], domain="com.microsoft", activation=act)
    case("FusedGemm", [floats(2, 3), floats(3, 4), floats(4)], domain="com.microsoft", activation="LeakyRelu", activation_alpha=0.3)
    case("FusedMatMul", [floats(3, 2), floats(3, 4)], domain="com.microsoft", transA=1)
    case("FusedMatMul", [floats(5, 2, 3), floats(5, 4, 3)], domain="com.microsoft", transB=1, alpha=2.0)
    case("FusedMatMul", [floats(2, 5, 3), floats(5, 4, 3)], domain="com.microsoft", transB=1, transBatchA=1)
    for ta in (0, 1):
        for tb in (0, 1):
            for bias in (None, (), (1,), (4,), (2, 1), (1, 4), (2, 4), (3, 4)):
                a, b = ((3, 2) if ta else (2, 3)), ((4, 3) if tb else (3, 4))
                c = None if bias is None else floats(*bias)
                case("Gemm", [floats(*a), floats(*b)] + ([c] if c is not None else []), 13, transA=ta, transB=tb, alpha=0.7, beta=1.3)
                case("Gemm", [floats(*a, t=D), floats(*b, t=D)] + ([c.astype(D)] if c is not None else []), 11, transA=ta, transB=tb)
    for eq, *s in [("ij,jk->ik", (2, 3), (3, 4)), ("bij,bkj->bik", (2, 3, 4), (2, 5, 4)), ("bhid,bhjd->bhij", (2, 2, 3, 4), (2, 2, 5, 4)), ("ij->ji", (2, 3)),
                   ("ii->i", (3, 3)), ("ij->", (2, 3)), ("ij,j->i", (2, 3), (3,)), ("i,j->ij", (2,), (3,)), ("...ij,...jk->...ik", (2, 3, 4), (4, 5)),
                   ("...ij,...jk->...ik", (2, 2, 3, 4), (2, 4, 5)), ("ij,jk", (2, 3), (3, 4)), ("bhld,lrd->bhlr", (1, 2, 3, 4), (3, 5, 4)), ("ij, jk, kl -> il", (2, 3), (3, 2), (2, 2)),
                   ("...i->...", (2, 3)), ("b...i,i->b...", (2, 4, 3), (3,)), ("ij,ij->ij", (2, 3), (1, 3)), ("ij,kj->ik", (2, 3), (4, 5)), ("blhd,bmhd->bhlm", (2, 3, 2, 4), (2, 5, 2, 4))]:
        case("Einsum", [floats(*x) for x in s], 12, equation=eq)


def movement():
    x = floats(2, 3, 4)
    for shape in [(4, 3, 2), (-1,), (0, -1), (0, 0, 0), (2, -1, 2), (1, 24, 1), (5, -1), (24,), (0, 0, 2, -1), (-1, -1), (3, 8)]:
        case("Reshape", [x, vec(*shape)], 13)
        case("Reshape", [ints(2, 3, 4), vec(*shape)], 11)
    for allowzero in (0, 1):
        case("Reshape", [floats(0, 3), vec(3, 0)], 14, allowzero=allowzero)
    case("Reshape", [floats(0, 3), vec(0, -1)], 14)
    case("Reshape", [floats(1, 1), np.zeros(0, I64)])
    for axis in range(-3, 4):
        case("Flatten", [x], 13, axis=axis)
    for axis in range(-4, 4):
        case("Squeeze", [floats(1, 3, 1), vec(axis)], 13)
        case("Squeeze", [floats(1, 3, 1)], 11, axes=[axis])
        case("Unsqueeze", [x, vec(axis)], 13)
        case("Unsqueeze", [x], 11, axes=[axis])
    case("Squeeze", [floats(1, 3, 1)], 13)
    case("Squeeze", [floats(1, 3, 1)], 11)
    case("Unsqueeze", [x, vec(0, -1)], 13)
    case("Unsqueeze", [x, vec(3, 0)], 13)
    case("Unsqueeze", [x, vec(0, 0)], 13)
    case("Unsqueeze", [scalar(3.0, F), vec(0)], 13)
    case("Transpose", [x])
    for perm in [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1), (0, 0, 1)]:
        case("Transpose", [x], perm=perm)
        case("Transpose", [bools(2, 3, 4)], perm=perm)
    for axis in (-3, -1, 0, 1, 2, 3):
        case("Concat", [floats(2, 3, 4), floats(2, 3, 4)], axis=axis)
    case("Concat", [ints(2, 3), ints(0, 3), ints(4, 3)], axis=0)
    case("Concat", [ints(2, 3), ints(2, 1)], axis=-1)
    case("Concat", [ints(2, 3), ints(2, 2)], axis=0)
    case("Concat", [ints(2)], axis=0)
    for axis in (-1, 0, 1):
        case("Split", [floats(6, 4, 2)], 11, outputs=2, axis=axis)
        case("Split", [floats(6, 4, 2)], 13, outputs=2, axis=axis)
        case("Split", [floats(6, 4, 2)], 18, outputs=2, axis=axis, num_outputs=2)
    case("Split", [floats(6, 4), vec(1, 5)], 13, outputs=2)
    case("Split", [floats(6, 4), vec(0, 6)], 13, outputs=2)
    case("Split", [floats(6, 4), vec(1, 4)], 13, outputs=2)
    case("Split", [floats(6, 4)], 11, outputs=3, split=[1, 2, 3])
    case("Split", [floats(7, 4)], 18, outputs=3, num_outputs=3)
    case("Split", [floats(7, 4)], 13, outputs=3)
    y = floats(5, 6, 7)
    for starts, ends, axes, steps in [((0,), (3,), (0,), (1,)), ((1, -3), (2**63 - 1, -1), (0, 2), None), ((-1,), (-(2**63),), (1,), (-1,)), ((0, 1), (9, 9), None, None),
                                      ((4,), (0,), (-1,), (-2,)), ((3,), (3,), (0,), None), ((5,), (2,), (0,), None), ((-99,), (99,), (2,), (3,)), ((99,), (-99,), (2,), (-3,)),
                                      ((0, 0, 0), (1, 1, 1), (2, 1, 0), None), ((0,), (1,), (3,), None), ((0,), (1,), (0,), (0,))]:
        ins = [y, vec(*starts), vec(*ends), None if axes is None else vec(*axes), None if steps is None else vec(*steps)]
        case("Slice", ins, 13)
        case("Slice", [ints(5, 6, 7)] + [None if i is None else i.clip(-2**31, 2**31 - 1).astype(I32) for i in ins[1:]], 11)
    case("Slice", [y], 9, starts=[1, 0], ends=[3, -1], axes=[0, 2])
    for a, b in [((3, 1), (2, 1, 6)), ((3,), (3,)), ((1,), (0,)), ((2, 3), (1,)), ((), (2, 2)), ((3,), (2,)), ((0, 1), (0, 3)), ((2, 1), (2, 2)), ((1, 3), (3, 1))]:
        case("Expand", [floats(*a), vec(*b)])
        case("Expand", [ints(*a), vec(*b)])
    for reps in [(1, 1), (2, 3), (0, 2), (3, 0), (2,), (1, -1)]:
        case("Tile", [floats(2, 3), vec(*reps)])
    for mode in ["constant", "edge", "reflect", "wrap"]:
        for pads in [(1, 2, 0, 1), (0, 0, 0, 0), (-1, 1, 0, -1), (2, 0, 2, 3)]:
            if mode == "reflect" and max(pads) > 2 or mode != "constant" and min(pads) < 0:
                continue
            case("Pad", [floats(3, 4), vec(*pads)], 19, mode=mode)
    case("Pad", [floats(3, 4), vec(1, 2, 0, 1), scalar(1.5, F)], 13)
    case("Pad", [ints(3, 4), vec(1, 2, 0, 1), scalar(7)], 13)
    case("Pad", [floats(3, 4), vec(1, 2), None, vec(-1)], 18)
    case("Pad", [floats(3, 4), vec(1, 2), scalar(2.0, F), vec(0)], 18)
    case("Pad", [floats(3, 4)], 10, pads=[0, 1, 2, 0], value=0.5)
    case("Pad", [floats(0, 4), vec(1, 0, 1, 0)], 13)
    case("Pad", [floats(3), vec(-2, -2)], 13)
    for upper in (0, 1):
        for k in (None, -2, 0, 1, 9, -9):
            case("Trilu", [floats(2, 3, 4)] + ([] if k is None else [scalar(k)]), 14, upper=upper)
            case("Trilu", [ints(4, 3)] + ([] if k is None else [scalar(k)]), 14, upper=upper)
    for axis in (-1, 0, 1):
        for e in (0, 1):
            for r in (0, 1):
                case("CumSum", [floats(3, 4), scalar(axis)], 14, exclusive=e, reverse=r)
                case("CumSum", [ints(3, 4), scalar(axis, I32)], 11, exclusive=e, reverse=r)
    case("CumSum", [floats(3, 4), vec(1)], 14)


def indexing():
    for axis in (-2, -1, 0, 1, 2):
        case("Gather", [floats(3, 4), ints(2, 2, low=-3, high=3)], axis=axis)
        case("Gather", [ints(3, 4), scalar(1)], axis=axis)
        case("Gather", [bools(3, 4), ints(0, t=I32)], axis=axis)
    case("Gather", [floats(3, 4), vec(3)])
    case("Gather", [ints(30, 4, t=I8), ints(2, 5, t=I32, low=0, high=30)])
    case("Gather", [vec(5, 6), scalar(-1)])
    for axis in (-2, -1, 0, 1):
        case("GatherElements", [floats(3, 4), ints(2, 3, low=-2, high=2)], axis=axis)
        case("GatherElements", [ints(3, 4), ints(3, 4, t=I32, low=0, high=3)], axis=axis)
        case("ScatterElements", [floats(3, 4), np.argsort(rng.random((3, 4)), axis=axis)[:2, :3], floats(2, 3)], 16, axis=axis)
        for r in ("add", "mul"):
            case("ScatterElements", [floats(3, 4), ints(2, 3, low=-2, high=2), floats(2, 3)], 16, axis=axis, reduction=r)
        case("ScatterElements", [ints(3, 4), ints(2, 3, low=0, high=2), ints(2, 3)], 18, axis=axis, reduction="max")
    case("GatherElements", [floats(5, 1), ints(2, 3)], axis=0)
    case("GatherND", [floats(2, 3, 4), vec([0, 1], [1, -1])])
    case("GatherND", [floats(2, 3, 4), vec([[0]], [[1]])])
    case("GatherND", [floats(2, 3, 4), vec([1], [2])], batch_dims=1)
    case("GatherND", [floats(2, 3, 4), ints(2, 3, 2, 1, low=0, high=4)], batch_dims=2)
    case("GatherND", [floats(2, 3), vec([0, 3])])
    case("GatherND", [ints(2, 2), vec([0, 0], [1, 1])])
    case("ScatterND", [floats(4, 3), vec([1], [3]), floats(2, 3)], 16)
    case("ScatterND", [floats(4, 3), vec([1, 2], [3, -1]), floats(2)], 16)
    case("ScatterND", [floats(4, 3), vec([1], [1]), floats(2, 3)], 16, reduction="add")
    case("ScatterND", [ints(4, 3), ints(2, 2, 1, low=0, high=4), ints(2, 2, 3)], 18, reduction="min")
    case("ScatterND", [ints(4, 3), vec([4]), ints(1, 3)], 16)
    for axis in (-1, 0, 1, -2):
        case("OneHot", [ints(2, 3, low=-6, high=6), scalar(5), vec(-1, 2, t=F)], axis=axis)
        case("OneHot", [ints(4, low=0, high=3, t=I32), vec(3, t=I32), vec(0, 1)], axis=axis)
        for keep in (0, 1):
            for last in (0, 1):
                for op in ("ArgMax", "ArgMin"):
                    case(op, [ints(3, 4, low=-2, high=2).astype(F)], 13, axis=axis, keepdims=keep, select_last_index=last)
                    case(op, [ints(3, 4, low=-2, high=2, t=I32)], 13, axis=axis, keepdims=keep, select_last_index=last)
        for largest in (0, 1):
            case("TopK", [floats(4, 5), vec(3)], 11, outputs=2, axis=axis, largest=largest)
            case("TopK", [ints(4, 5), vec(2)], 11, outputs=2, axis=axis, largest=largest)
    case("TopK", [floats(4), vec(5)], 11, outputs=2)
    case("ConstantOfShape", [vec(2, 3)])
    case("ConstantOfShape", [vec(2, 0)], value=numpy_helper.from_array(vec(7)))
    case("ConstantOfShape", [np.zeros(0, I64)], value=numpy_helper.from_array(vec(1.5, t=F)))
    case("ConstantOfShape", [vec(2, -1)])
    for a, b, d in [(0, 5, 1), (5, 0, -2), (0, 0, 1), (3, 1, 1), (-4, 4, 3)]:
        for t in (I64, I32, F, D):
            case("Range", [scalar(a, t), scalar(b, t), scalar(d, t)])
    case("Range", [scalar(0.0, F), scalar(1.0, F), scalar(0.3, F)])
    for start, end in [(0, 2), (1, None), (-1, None), (-2, -1), (2, 1), (-9, 9)]:
        case("Shape", [floats(2, 3, 4)], 15, start=start, **({} if end is None else {"end": end}))
    case("EyeLike", [floats(3, 4)], 11)
    case("EyeLike", [ints(3, 4)], 11, k=1, dtype=TensorProto.FLOAT)


def reductions():
    for op in ["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "ReduceLogSumExp"]:
        as_input = 13 if op == "ReduceSum" else 18
        for axes in [(0,), (-1,), (0, 2), (1, -1), None, (), (3,)]:
            for keep in (0, 1):
                x = floats(2, 3, 4)
                if op == "ReduceLogSum":
                    x = np.abs(x)
                if axes != ():
                    case(op, [x], 11, keepdims=keep, **({} if axes is None else {"axes": axes}))
                case(op, [x] + ([] if axes is None else [np.array(axes, I64)]), as_input, keepdims=keep)
                if op in ("ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceProd", "ReduceL1", "ReduceSumSquare"):
                    for t in (I32, I64):
                        case(op, [ints(2, 3, 4, t=t, low=-3, high=3)] + ([] if axes is None else [np.array(axes, I64)]), as_input, keepdims=keep)
        case(op, [np.abs(floats(2, 3))], as_input, noop_with_empty_axes=1)
        case(op, [np.abs(floats(2, 3)), np.zeros(0, I64)], as_input, noop_with_empty_axes=1)
        if op != "ReduceMean":  # onnxruntime: 0, numpy: not a number
            case(op, [floats(2, 0, 3), vec(1)], as_input)
        case(op, [floats(2, 0, 3), vec(0)], as_input)
        case(op, [np.abs(floats(2, 3, t=H)), vec(1)], as_input)
        case(op, [np.abs(floats(2, 3, t=D)), vec(1)], as_input)
        case(op, [scalar(2.5, F)], as_input)
    case("ReduceSum", [floats(2, 3)], 11, axes=[-1], keepdims=0)


def norms():
    for op in ["Softmax", "LogSoftmax"]:
        for opset in (11, 13, 21):
            for axis in (-3, -1, 0, 1, 2):
                case(op, [floats(2, 3, 4, scale=4)], opset, axis=axis)
            case(op, [floats(2, 3, 4)], opset)
            case(op, [floats(2, 3, t=H)], opset)
            case(op, [floats(2, 3, t=D)], opset)
            case(op, [floats(0, 3)], opset)
            case(op, [vec([-3.4028235e38, -3.4028235e38, 0], [1000, 0, -1000], t=F)], opset)
        case(op, [vec([-np.inf, 0, 1], t=F)], 13)
    for axis in (-3, -2, -1, 0, 1, 2):
        n = (2, 3, 4)[axis:]
        for eps in (1e-5, 1e-1):
            case("LayerNormalization", [floats(2, 3, 4), floats(*n), floats(*n)], 17, axis=axis, epsilon=eps, outputs=3)
        case("LayerNormalization", [floats(2, 3, 4), floats(*n)], 17, axis=axis)
        case("RMSNormalization", [floats(2, 3, 4), floats(*n)], 23, axis=axis)
        case("SimplifiedLayerNormalization", [floats(2, 3, 4), floats(*n)], 17, axis=axis)
        case("LpNormalization", [floats(2, 3, 4)], 17, axis=axis)
        case("LpNormalization", [floats(2, 3, 4)], 17, axis=axis, p=1)
    case("LayerNormalization", [floats(2, 30, t=H), floats(30, t=H), floats(30, t=H)], 17)
    case("LayerNormalization", [floats(2, 30, t=D), floats(30, t=D), floats(30, t=D)], 17)
    case("LayerNormalization", [floats(2, 3, 4), floats(3), floats(3)], 17)
    case("LayerNormalization", [floats(2, 3, 4), floats(3, 1), floats(1)], 17)
    case("LpNormalization", [np.zeros((2, 3), F)], 17)


def codes():
    for t in (U8, I8, U16, I16):
        opset = 21 if t in (U16, I16) else 13
        for z in (0, 3):
            x = floats(3, 4, scale=9)
            case("QuantizeLinear", [x, scalar(0.1, F), scalar(z, t)], opset)
            case("DequantizeLinear", [ints(3, 4, t=t, low=0, high=100), scalar(0.1, F), scalar(z, t)], opset)
            for axis in (0, 1, -1):
                n = (3, 4)[axis]
                case("QuantizeLinear", [x, np.abs(floats(n)), np.full(n, z, t)], opset, axis=axis)
                case("DequantizeLinear", [ints(3, 4, t=t, low=0, high=100), np.abs(floats(n)), np.full(n, z, t)], opset, axis=axis)
                case("DequantizeLinear", [ints(3, 4, t=t, low=0, high=100), np.abs(floats(n))], opset, axis=axis)
    case("QuantizeLinear", [floats(3, 4), scalar(0.01, F)], 13)
    case("QuantizeLinear", [floats(3, 4), scalar(0.01, F)], 21, output_dtype=TensorProto.INT8)
    case("QuantizeLinear", [floats(3, 4, t=H), scalar(0.01, H), scalar(3, U8)], 19)
    case("QuantizeLinear", [vec(0.5, 1.5, 2.5, -0.5, 1e9, -1e9, t=F), scalar(1, F), scalar(1, I8)], 13)
    case("DequantizeLinear", [ints(3, 4, t=I32), scalar(0.01, F)], 13)
    case("DequantizeLinear", [ints(3, 4, t=I8), scalar(0.01, H), scalar(3, I8)], 19)
    case("DequantizeLinear", [ints(3, 4, t=I8), scalar(0.01, F), scalar(3, U8)], 13)
    for s in [(3, 4), (100,), (2, 2, 50), (1,)]:
        for scale, shift in [(1, 0), (5, 30), (0.01, -1)]:
            case("DynamicQuantizeLinear", [(floats(*s) * scale + shift).astype(F)], 11, outputs=3)
    case("DynamicQuantizeLinear", [np.zeros((3, 4), F)], 11, outputs=3)


def transformer():
    for s in [(2, 5, 12), (1, 3, 8), (10, 12)]:
        h = s[-1]
        for t in (F, H):
            case("BiasGelu", [floats(*s, t=t), floats(h, t=t)], domain="com.microsoft")
            case("FastGelu", [floats(*s, t=t), floats(h, t=t)], domain="com.microsoft")
            case("SkipLayerNormalization", [floats(*s, t=t), floats(*s, t=t), floats(h, t=t), floats(h, t=t), floats(h, t=t)], domain="com.microsoft", epsilon=1e-12, outputs=4)
        case("SkipLayerNormalization", [floats(*s), floats(*s), floats(h)], domain="com.microsoft", epsilon=1e-5)
        case("SkipLayerNormalization", [floats(*s), floats(*s[-2:]), floats(h), floats(h)], domain="com.microsoft")
        case("SkipSimplifiedLayerNormalization", [floats(*s), floats(*s), floats(h), floats(h)], domain="com.microsoft", epsilon=1e-5)
    for b, n, h, heads in [(2, 5, 12, 3), (1, 4, 8, 1)]:
        mask = [None, np.array([n, n - 1][:b], I32), np.tri(n, dtype=I32)[None].repeat(b, 0), (rng.random((b, n)) < 0.7).astype(I32)]
        mask[3][:, 0] = 1
        for m in mask:
            case("Attention", [floats(b, n, h), floats(h, 3 * h), floats(3 * h), m], domain="com.microsoft", num_heads=heads)
            case("Attention", [floats(b, n, h), floats(h, 3 * h), floats(3 * h), m, None, floats(1, heads, n, n)], domain="com.microsoft", num_heads=heads, scale=0.3)
            case("Attention", [floats(b, n, h), floats(h, 3 * h), floats(3 * h), m], domain="com.microsoft", num_heads=heads, mask_filter_value=-1000.0, unidirectional=1)
        for m in (None, mask[1], mask[3]):
            q = floats(b, n, h)
            case("MultiHeadAttention", [q, floats(b, n, h), floats(b, n, h), floats(3 * h), m], domain="com.microsoft", num_heads=heads)
            case("MultiHeadAttention", [q, floats(b, n, h), floats(b, n, h), None, m, floats(b, heads, n, n)], domain="com.microsoft", num_heads=heads, scale=0.2)
            case("EmbedLayerNormalization", [ints(b, n, t=I32, low=0, high=9), ints(b, n, t=I32, low=0, high=2), floats(9, h), floats(7, h), floats(2, h), floats(h), floats(h), mask[3]],
                 domain="com.microsoft", epsilon=1e-12, outputs=2)
        case("EmbedLayerNormalization", [ints(b, n, t=I32, low=0, high=9), None, floats(9, h), floats(7, h), None, floats(h), floats(h), None, ints(b, n, t=I32, low=0, high=7)],
             domain="com.microsoft", outputs=3)
        case("RotaryEmbedding", [floats(b, heads, n, h // heads), np.arange(n)[None].repeat(b, 0).astype(I64), floats(9, h // heads // 2), floats(9, h // heads // 2)], domain="com.microsoft")


def model(op, inputs, opset, outputs, domain, attrs):
    names = [f"x{i}" if v is not None else "" for i, v in enumerate(inputs)]
    while names and names[-1] == "":
        names.pop()
    outs = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, outs, name="it", domain=domain, **attrs)
    values = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in zip(names, inputs) if n]
    graph = helper.make_graph([node], "one", values, [onnx.ValueInfoProto(name=o) for o in outs])
    sets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=sets, ir_version=8 if opset < 21 else 10), {n: v for n, v in zip(names, inputs) if n}


def answer(m, feeds, outputs):
    """outputs, who computed them, and why not"""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(m.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds), "onnxruntime", ""
    except Exception as e:
        why = str(e)
    if "NOT_IMPLEMENTED" in why or "is invalid" in why or "Opset" in why:
        try:
            return [np.asarray(v) for v in ReferenceEvaluator(m).run(None, feeds)], "reference", ""
        except Exception as e:
            why = str(e)
    return None, "", why


for kind in (arithmetic, unary, products, movement, indexing, reductions, norms, codes, transformer):
    kind()
tensors = {}
for i, (op, inputs, opset, outputs, domain, attrs) in enumerate(cases):
    m, feeds = model(op, inputs, opset, outputs, domain, attrs)
    got, by, why = answer(m, feeds, outputs)
    with open(os.path.join(folder, f"{i:04}.onnx"), "wb") as f:
        f.write(m.SerializeToString())
    for n, v in feeds.items():
        tensors[f"{i:04}.in.{n}"] = np.array(v, order="C", copy=True)
    for n, v in enumerate(got or []):
        v = np.asarray(v)
        if v.size or v.shape:
            if v.dtype == ml_dtypes.bfloat16:
                v = v.astype(np.float32)
            tensors[f"{i:04}.out.y{n}"] = np.array(v, order="C", copy=True)
    text = {k: v if isinstance(v, (int, float, str, list, tuple)) else "tensor" for k, v in attrs.items()}
    print(json.dumps({"op": op, "opset": opset, "domain": domain, "attrs": text, "shapes": [None if v is None else f"{v.dtype}{list(v.shape)}" for v in inputs], "by": by, "why": why[:300]}))
save_file(tensors, os.path.join(folder, "cases.safetensors"))
