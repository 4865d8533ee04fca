"""Makes the folders beside this file: tiny random models of each architecture, exported to ONNX.

usage: make.py FOLDER      (torch 2.8, transformers 4.57, onnx 1.23, onnxruntime 1.32, onnxscript)

Each folder has config.json, vocab.txt, tokenizer_config.json, model.onnx (float32, by the classic exporter
or by dynamo), model.f16.onnx (exported from a model in half precision), model.int8.onnx (quantize_dynamic),
and expected.safetensors: for each sequence i i.ids, i.types and the outputs i.NAME of the float32 model in torch.
"""
import copy
import os
import sys
import warnings

import onnx
import torch
import transformers
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "is", ".", "?"] + [p + c for c in LETTERS for p in ("", "##")]
BASE = dict(vocab_size=len(VOCAB), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, max_position_embeddings=32, num_labels=3)
MODELS = {
    "bert": ("BertForTokenClassification", BASE, "classic"),
    "distilbert": ("DistilBertForQuestionAnswering", dict(vocab_size=len(VOCAB), dim=16, n_layers=1, n_heads=2, hidden_dim=24, max_position_embeddings=32), "dynamo"),
    "roberta": ("RobertaForMaskedLM", BASE, "classic"),
    "xlm-roberta": ("XLMRobertaForSequenceClassification", BASE, "dynamo"),
    "electra": ("ElectraForTokenClassification", dict(BASE, embedding_size=12), "classic"),
    "albert": ("AlbertForMaskedLM", dict(BASE, num_hidden_layers=2, embedding_size=12), "dynamo"),
    "mpnet": ("MPNetForSequenceClassification", BASE, "classic"),
    "mobilebert": ("MobileBertForTokenClassification", dict(BASE, embedding_size=12, intra_bottleneck_size=8, true_hidden_size=8, num_feedforward_networks=2), "classic"),
    "deberta-v2": ("DebertaV2ForSequenceClassification", dict(BASE, type_vocab_size=0, relative_attention=True, position_biased_input=False, pos_att_type=["p2c", "c2p"],
                   share_att_key=True, position_buckets=8, norm_rel_ebd="layer_norm", pooler_hidden_size=16), "classic"),
    "modernbert": ("ModernBertForMaskedLM", dict(BASE, num_hidden_layers=2, local_attention=4, global_attn_every_n_layers=2, pad_token_id=0, cls_token_id=2, sep_token_id=3,
                   bos_token_id=2, eos_token_id=3, reference_compile=False), "classic"),
}


def redraw(model):
    matrix = 0.7 if getattr(model.config, "normalization_type", "") == "no_norm" else 1.5
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            norm = p.dim() == 1 and name == "weight"
            scale = 0.2 if norm else 0.1 if p.dim() == 1 else 0.3 if isinstance(module, torch.nn.Embedding) else matrix / p.shape[-1] ** 0.5
            p.data = (torch.randn(p.shape) * scale + (1 if norm else 0)).half().float()
    model.tie_weights()


class Plain(torch.nn.Module):
    """The model with positional inputs and a tuple of outputs."""

    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs):
        out = self.model(**dict(zip(self.names, inputs)), return_dict=True)
        return tuple(v for k, v in out.items() if k in ("logits", "start_logits", "end_logits"))


def strip(file):
    """Drops what dynamo notes about every node: many times the graph, and no part of it."""
    model = onnx.load(file)
    for graph in [model.graph, *model.functions]:
        for thing in [graph, *graph.node, *graph.value_info, *getattr(graph, "initializer", []), *graph.input, *graph.output]:
            for field in ("doc_string", "metadata_props"):
                try:
                    thing.ClearField(field)
                except (AttributeError, ValueError):
                    pass
    onnx.save(model, file)


def main():
    torch.set_num_threads(1)
    for seed, (kind, (cls, keys, exporter)) in enumerate(MODELS.items()):
        if sys.argv[2:] and kind not in sys.argv[2:]:
            continue
        torch.manual_seed(seed)
        made = getattr(transformers, cls)
        config = made.config_class(**keys)
        config._attn_implementation = "eager"
        model = made(config).eval()
        redraw(model)
        folder = f"{sys.argv[1]}/{kind}"
        os.makedirs(folder, exist_ok=True)
        config.architectures = [cls]
        config.save_pretrained(folder)
        with open(folder + "/vocab.txt", "w") as f:
            f.write("\n".join(VOCAB) + "\n")
        with open(folder + "/tokenizer_config.json", "w") as f:
            f.write('{"tokenizer_class": "BertTokenizer", "do_lower_case": true, "model_max_length": 30}\n')
        typed = (getattr(config, "type_vocab_size", 0) or 0) > 0 and kind not in ("mpnet", "distilbert", "modernbert")
        names = ["input_ids", "attention_mask"] + (["token_type_ids"] if typed else [])
        answers = ["start_logits", "end_logits"] if "Question" in cls else ["logits"]
        out = {}
        for i, n in enumerate((2, 7, 19)):
            ids = torch.randint(5, len(VOCAB), (1, n))
            ids[0, 0], ids[0, -1] = 2, 3
            types = (torch.arange(n)[None] > n // 2).long() if getattr(config, "type_vocab_size", 0) > 1 and typed else torch.zeros_like(ids)
            feed = dict(zip(names, (ids, torch.ones_like(ids), types)))
            with torch.no_grad():
                got = model(**feed)
            out[f"{i}.ids"], out[f"{i}.types"] = ids[0].int(), types[0].int()
            out.update({f"{i}.{a}": got[a][0].contiguous().clone() for a in answers})
        save_file(out, folder + "/expected.safetensors")
        for suffix, made in (("", model), (".f16", copy.deepcopy(model).half())):
            target = f"{folder}/model{suffix}.onnx"
            sample = tuple(feed.values())
            shape = {n: {0: "batch", 1: "sequence"} for n in names}
            try:
                if exporter == "classic":
                    torch.onnx.export(Plain(made, names), sample, target, input_names=names, output_names=answers, dynamic_axes=shape, opset_version=17, dynamo=False)
                else:
                    axes = tuple({0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence", max=32)} for _ in names)
                    torch.onnx.export(Plain(made, names), sample, target, input_names=names, output_names=answers, dynamic_shapes=(axes,), opset_version=18, dynamo=True, external_data=False)
                    strip(target)
                if suffix == "":
                    quantize_dynamic(target, f"{folder}/model.int8.onnx", weight_type=QuantType.QInt8, per_channel=seed % 2 == 0)
            except Exception as err:
                print(kind, suffix, exporter, type(err).__name__, str(err)[:300], file=sys.stderr)


main()
