"""Makes the ONNX files beside it, tiny models with random weights, and golden.json:
what torch computes with them. python models.py

Made with torch 2.8.0, transformers 4.57.6, onnx 1.23.2, onnxruntime 1.32.0, onnxscript 0.7.2.
"""
import contextlib
import io
import json
import logging
import os
import warnings

import onnx
import torch
import transformers as T
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from torch import nn

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))
WORDS, PLACES = 41, 24


def config(cls, **more):
    sizes = dict(vocab_size=WORDS, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20,
                 max_position_embeddings=PLACES, attn_implementation="eager", pad_token_id=1, bos_token_id=0, eos_token_id=2,
                 cls_token_id=0, sep_token_id=2)
    sizes.update(more)
    return cls(**sizes)


def drawn(model):
    """Weights far from the usual, so that everything wrong shows."""
    for name, p in model.named_parameters():
        with torch.no_grad():
            if p.dim() > 1:
                p.normal_(0, 0.3 if "embedding" in name else 1.3 / p.shape[1] ** 0.5)
            elif "norm" in name.lower() and "weight" in name:
                p.normal_(1, 0.2)
            else:
                p.normal_(0, 0.1)
    return model.eval()


class Wrapped(nn.Module):
    def __init__(self, model, out):
        super().__init__()
        self.model, self.out = model, out

    def forward(self, ids, mask):
        return self.out(self.model(input_ids=ids, attention_mask=mask), mask)


def mean(o, mask):
    e = mask.unsqueeze(-1).expand(o[0].size()).float()
    return nn.functional.normalize((o[0] * e).sum(1) / torch.clamp(e.sum(1), min=1e-9), dim=1)


def weighted(o, mask):
    x = o[0]
    places = torch.arange(1, x.shape[1] + 1).unsqueeze(0).unsqueeze(-1).expand(x.size()).float()
    e = mask.unsqueeze(-1).expand(x.size()).float() * places
    return (x * e).sum(1) / e.sum(1)


def logits(o, mask):
    return o.logits


def span(o, mask):
    return o.start_logits, o.end_logits


def first(o, mask):
    return o[0]


def exported(name, model, out, opset, dynamo=False, half=False):
    torch.manual_seed(len(name))
    wrapped = Wrapped(drawn(model), out).eval()
    golden = []
    for n in (1, 5, 13):
        ids = torch.randint(3, WORDS, (1, n))
        with torch.no_grad():
            o = wrapped(ids, torch.ones_like(ids))
        o = o if isinstance(o, tuple) else (o,)
        golden.append(dict(ids=ids[0].tolist(), outputs=[v.flatten().tolist() for v in o]))
    example = torch.randint(3, WORDS, (2, 7))
    if half:
        wrapped = wrapped.half()
    path = os.path.join(HERE, name + ".onnx")
    outs = [f"output_{i}" for i in range(len(golden[0]["outputs"]))]
    kw = dict(input_names=["input_ids", "attention_mask"], output_names=outs, opset_version=opset, dynamo=dynamo)
    if dynamo:
        axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence")}
        kw.update(dynamic_shapes=(axes, axes), external_data=False)
    else:
        kw["dynamic_axes"] = {k: {0: "batch", 1: "sequence"} for k in kw["input_names"]} | {o: {0: "batch"} for o in outs}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        torch.onnx.export(wrapped, (example, torch.ones_like(example)), path, **kw)
    small(path)
    return golden


def small(path):
    """Names of one or two letters; nothing that nobody needs."""
    m = onnx.load(path)
    names = {v.name: v.name for v in list(m.graph.input) + list(m.graph.output)}

    def short(name):
        return names.setdefault(name, f"t{len(names)}") if name else ""

    def graph(g):
        for v in list(g.input) + list(g.output) + list(g.initializer):
            v.name = short(v.name)
            del v.metadata_props[:]
        for i, n in enumerate(g.node):
            n.name, n.doc_string = f"n{i}", ""
            del n.metadata_props[:]
            for k in range(len(n.input)):
                n.input[k] = short(n.input[k])
            for k in range(len(n.output)):
                n.output[k] = short(n.output[k])
            for a in n.attribute:
                if a.type == onnx.AttributeProto.GRAPH:
                    graph(a.g)
                if a.type == onnx.AttributeProto.TENSOR:
                    a.t.name = ""
        del g.value_info[:], g.metadata_props[:], g.quantization_annotation[:]

    graph(m.graph)
    del m.metadata_props[:]
    onnx.save(m, path)


def main():
    g = {}
    g["modernbert-embed"] = exported("modernbert-embed", T.ModernBertModel(config(T.ModernBertConfig, local_attention=6, global_attn_every_n_layers=2)), mean, 17)
    deberta = dict(relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=8, max_relative_positions=20, share_att_key=True,
                   norm_rel_ebd="layer_norm", position_biased_input=False, type_vocab_size=0)
    g["deberta-classify"] = exported("deberta-classify", T.DebertaV2ForSequenceClassification(config(T.DebertaV2Config, **deberta)), logits, 13)
    g["albert-words"] = exported("albert-words", T.AlbertForMaskedLM(config(T.AlbertConfig, embedding_size=8)), logits, 20, dynamo=True)
    g["electra-half"] = exported("electra-half", T.ElectraForTokenClassification(config(T.ElectraConfig, embedding_size=8, num_labels=5)), logits, 17, half=True)
    g["distilbert-weighted"] = exported("distilbert-weighted", T.DistilBertModel(T.DistilBertConfig(
        vocab_size=WORDS, dim=12, n_layers=2, n_heads=2, hidden_dim=20, max_position_embeddings=PLACES, attn_implementation="eager")), weighted, 11)
    g["roberta-answer"] = exported("roberta-answer", T.RobertaForQuestionAnswering(config(T.RobertaConfig, type_vocab_size=1, pad_token_id=4)), span, 21, dynamo=True)
    g["mpnet-hidden"] = exported("mpnet-hidden", T.MPNetModel(config(T.MPNetConfig)), first, 14)
    quantize_dynamic(os.path.join(HERE, "mpnet-hidden.onnx"), os.path.join(HERE, "mpnet-int8.onnx"), weight_type=QuantType.QUInt8, per_channel=True)
    g["bert-hidden"] = exported("bert-hidden", T.BertModel(config(T.BertConfig)), first, 14)
    bert = os.path.join(HERE, "bert-hidden.onnx")
    fused = optimizer.optimize_model(bert, model_type="bert", num_heads=2, hidden_size=12)
    fused.save_model_to_file(os.path.join(HERE, "bert-fused.onnx"))
    quantize_dynamic(os.path.join(HERE, "bert-fused.onnx"), os.path.join(HERE, "bert-fused-int8.onnx"), weight_type=QuantType.QInt8,
                     extra_options=dict(DefaultTensorType=onnx.TensorProto.FLOAT))
    g["bert-fused"] = g.pop("bert-hidden")
    for name in ("mpnet-int8", "bert-fused", "bert-fused-int8"):
        small(os.path.join(HERE, name + ".onnx"))
    os.remove(bert)
    # A layer right behind the table of words, whose codes it multiplies.
    exported("mobilebert-int8", T.MobileBertModel(config(
        T.MobileBertConfig, embedding_size=8, trigram_input=False, intra_bottleneck_size=8, num_feedforward_networks=2)), first, 14)
    mobile = os.path.join(HERE, "mobilebert-int8.onnx")
    quantize_dynamic(mobile, mobile, weight_type=QuantType.QUInt8)
    small(mobile)
    with open(os.path.join(HERE, "golden.json"), "w") as f:
        json.dump({k: [dict(ids=c["ids"], outputs=[[float(f"{x:.8g}") for x in o] for o in c["outputs"]]) for c in v] for k, v in sorted(g.items())}, f)
        f.write("\n")


main()
