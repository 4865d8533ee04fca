"""Writes a BERT encoder of a model's folder as ONNX: argv: the folder, the file of float32, the file of int8 (may be left out).

The graph is spelled as PyTorch exports it, so that onnxruntime finds what it fuses: layer normalisation, GELU, bias.
int8 is what onnxruntime's own quantize_dynamic makes of it, per channel.
"""
import json
import math
import pathlib
import struct
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


def read_safetensors(path):
    data = path.read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    types = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}
    tensors = {}
    for name, t in json.loads(data[8:8 + n]).items():
        if name != "__metadata__":
            lo, hi = (8 + n + x for x in t["data_offsets"])
            tensors[name] = numpy.frombuffer(data[lo:hi], types[t["dtype"]]).reshape(t["shape"])
    return tensors


class Graph:
    def __init__(self, weights, config):
        self.w, self.c, self.nodes, self.consts = weights, config, [], {}

    def op(self, kind, *inputs, **attributes):
        out = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], name=out, **attributes))
        return out

    def const(self, name, value):
        self.consts.setdefault(name, numpy_helper.from_array(numpy.array(value, order="C"), name))
        return name

    def weight(self, name, transposed=False):
        value = self.w[name].astype(numpy.float32)
        return self.const(name, value.T if transposed else value)

    def number(self, x):
        return self.const(f"f{x}", numpy.array(x, dtype=numpy.float32))

    def ints(self, *x):
        return self.const("i" + "_".join(map(str, x)), numpy.array(x, dtype=numpy.int64))

    def linear(self, x, name):
        y = self.op("MatMul", x, self.weight(name + ".weight", transposed=True))
        return self.op("Add", self.weight(name + ".bias"), y)

    def norm(self, x, name):
        return self.op("LayerNormalization", x, self.weight(name + ".weight"), self.weight(name + ".bias"),
                       axis=-1, epsilon=self.c["layer_norm_eps"])

    def gelu(self, x):
        e = self.op("Add", self.op("Erf", self.op("Div", x, self.number(math.sqrt(2)))), self.number(1.0))
        return self.op("Mul", self.op("Mul", x, e), self.number(0.5))

    def heads(self, x, perm):
        a = self.c["num_attention_heads"]
        return self.op("Transpose", self.op("Reshape", x, self.ints(0, 0, a, self.c["hidden_size"] // a)), perm=perm)

    def block(self, x, mask, name):
        size = self.c["hidden_size"] // self.c["num_attention_heads"]
        q = self.heads(self.linear(x, name + ".attention.self.query"), [0, 2, 1, 3])
        k = self.heads(self.linear(x, name + ".attention.self.key"), [0, 2, 3, 1])
        v = self.heads(self.linear(x, name + ".attention.self.value"), [0, 2, 1, 3])
        scores = self.op("Div", self.op("MatMul", q, k), self.number(math.sqrt(size)))
        probs = self.op("Softmax", self.op("Add", scores, mask), axis=-1)
        y = self.op("Transpose", self.op("MatMul", probs, v), perm=[0, 2, 1, 3])
        y = self.linear(self.op("Reshape", y, self.ints(0, 0, self.c["hidden_size"])), name + ".attention.output.dense")
        x = self.norm(self.op("Add", y, x), name + ".attention.output.LayerNorm")
        y = self.linear(self.gelu(self.linear(x, name + ".intermediate.dense")), name + ".output.dense")
        return self.norm(self.op("Add", y, x), name + ".output.LayerNorm")

    def mask(self):
        m = self.op("Cast", self.op("Unsqueeze", "attention_mask", self.ints(1, 2)), to=TensorProto.FLOAT)
        return self.op("Mul", self.op("Sub", self.number(1.0), m), self.number(-10000.0))

    def embed(self, prefix):
        e = prefix + "embeddings."
        words = self.op("Gather", self.weight(e + "word_embeddings.weight"), "input_ids", axis=0)
        types = self.op("Gather", self.weight(e + "token_type_embeddings.weight"), "token_type_ids", axis=0)
        length = self.op("Gather", self.op("Shape", "input_ids"), self.const("one", numpy.array(1, dtype=numpy.int64)), axis=0)
        length = self.op("Unsqueeze", length, self.ints(0))
        place = self.op("Slice", self.weight(e + "position_embeddings.weight"), self.ints(0), length, self.ints(0))
        place = self.op("Unsqueeze", place, self.ints(0))
        return self.norm(self.op("Add", self.op("Add", words, types), place), e + "LayerNorm")


def export(folder):
    config = json.loads((folder / "config.json").read_text())
    g = Graph(read_safetensors(folder / "model.safetensors"), config)
    prefix = "" if "embeddings.word_embeddings.weight" in g.w else "bert."
    x, mask = g.embed(prefix), g.mask()
    for i in range(config["num_hidden_layers"]):
        x = g.block(x, mask, f"{prefix}encoder.layer.{i}")
    g.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"]))
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "seq"])
              for n in ("input_ids", "attention_mask", "token_type_ids")]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "seq", config["hidden_size"]])
    graph = helper.make_graph(g.nodes, "bert", inputs, [output], list(g.consts.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def main():
    onnx.save(export(pathlib.Path(sys.argv[1])), sys.argv[2])
    if len(sys.argv) > 3:
        from onnxruntime.quantization import QuantType, quantize_dynamic
        quantize_dynamic(sys.argv[2], sys.argv[3], per_channel=True, weight_type=QuantType.QInt8)


main()
