"""Makes small random models of every class that skiff imports, with what transformers computes of them.

usage: random_models.py FOLDER

Each goes into FOLDER/NAME, with a tokenizer, as save_pretrained writes it, as torch.save does or exported to ONNX, and
FOLDER/NAME/expected.safetensors holds, for each of a few sequences i, i.ids, i.types, i.hidden.L, i.last,
i.pooler and i.logits (or i.start, i.end). Prints one JSON object: versions, models and failed exports.
"""
import contextlib
import copy
import itertools
import json
import logging
import os
import sys
import warnings

import torch
import transformers
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "is", ".", "?"] + [p + c for c in LETTERS for p in ("", "##")]
UNTYPED = ("distilbert", "mpnet", "modernbert")  # take no token types
BASE = dict(vocab_size=len(VOCAB), hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=50, max_position_embeddings=64)
HEADS = {"ForSequenceClassification": 4, "ForTokenClassification": 5, "ForQuestionAnswering": 2, "ForMaskedLM": 2}  # and how many labels


def models():
    """Yields (name, class, configuration, how): how is safetensors, bin, legacy, half, bfloat16, qint8, onnx-OPSET or onnx-dynamo."""
    opsets = itertools.cycle(["13", "14", "17", "18", "dynamo", "16"])

    def every(prefix, kind, base):
        for head, labels in HEADS.items():
            yield f"{kind}-{head[3:].lower()}", prefix + head, dict(base, num_labels=labels), "safetensors"
            how = next(opsets)
            if how == "dynamo" and kind == "modernbert":
                how = "17"  # dynamo fails on it
            yield f"{kind}-{head[3:].lower()}-onnx-{how}", prefix + head, dict(base, num_labels=labels), f"onnx-{how}"
        yield f"{kind}-model", prefix + "Model", base, "bin"

    # BERT and near kin: every head, activation, width; a head size of 26; decoders of their own.
    for prefix, kind in [("Bert", "bert"), ("Roberta", "roberta"), ("XLMRoberta", "xlm-roberta"), ("Camembert", "camembert"),
                         ("Electra", "electra"), ("Albert", "albert"), ("MPNet", "mpnet"), ("MobileBert", "mobilebert")]:
        base = dict(BASE)
        if kind in ("electra", "albert"):
            base["embedding_size"] = 22
        if kind == "mobilebert":
            base.update(embedding_size=20, intra_bottleneck_size=24, true_hidden_size=24, num_feedforward_networks=3)
        if kind == "albert":
            base["num_hidden_layers"] = 3
        yield from every(prefix, kind, base)
        yield f"{kind}-untied", prefix + "ForMaskedLM", dict(base, tie_word_embeddings=False), "safetensors"
        yield f"{kind}-untied-bin", prefix + "ForMaskedLM", dict(base, tie_word_embeddings=False), "bin"
        yield f"{kind}-words-bin", prefix + "ForMaskedLM", base, "legacy"
        acts = ["gelu", "relu", "silu", "gelu_new", "gelu_fast", "tanh", "gelu_pytorch_tanh", "gelu_python", "swish", "sigmoid"]
        for act in acts if kind == "bert" else acts[1:5]:
            yield f"{kind}-act-{act}", prefix + "ForSequenceClassification", dict(base, hidden_act=act, num_labels=2, layer_norm_eps=1e-3), "half"
            yield f"{kind}-words-act-{act}", prefix + "ForMaskedLM", dict(base, hidden_act=act), "bfloat16"
        wide = dict(base, hidden_size=52, num_attention_heads=2, intermediate_size=7, num_hidden_layers=1)
        yield f"{kind}-wide", prefix + "ForSequenceClassification", dict(wide, num_labels=1, layer_norm_eps=1e-5), "bin"
        yield f"{kind}-multi", prefix + "ForSequenceClassification", dict(base, num_labels=5, problem_type="multi_label_classification"), "safetensors"
        if kind != "mobilebert":
            yield f"{kind}-qint8", prefix + "ForMaskedLM", base, "qint8"
        yield f"{kind}-qint8-classify", prefix + "ForSequenceClassification", base, "qint8"
    for kind, prefix in [("bert", "Bert"), ("albert", "Albert"), ("mobilebert", "MobileBert")]:
        more = {"bert": {}, "albert": dict(embedding_size=20), "mobilebert": dict(embedding_size=20, intra_bottleneck_size=24, true_hidden_size=24)}[kind]
        yield f"{kind}-pretraining", prefix + "ForPreTraining", dict(BASE, **more), "safetensors"
    yield "electra-discriminator", "ElectraForPreTraining", dict(BASE, embedding_size=22), "safetensors"
    yield "electra-one-width", "ElectraForMaskedLM", dict(BASE, embedding_size=36), "safetensors"
    yield "bert-one-type", "BertModel", dict(BASE, type_vocab_size=1), "safetensors"
    for pad in (0, 1, 3):
        yield f"roberta-pad-{pad}", "RobertaForSequenceClassification", dict(BASE, pad_token_id=pad, type_vocab_size=1, num_labels=3), "safetensors"
    for groups, inner in [(1, 2), (2, 1), (3, 2)]:
        yield f"albert-{groups}-{inner}", "AlbertForMaskedLM", dict(BASE, embedding_size=36, num_hidden_layers=6 if groups == 3 else 5, num_hidden_groups=groups, inner_group_num=inner), "bin"

    # DistilBERT calls its sizes otherwise.
    distil = dict(vocab_size=len(VOCAB), dim=36, n_layers=2, n_heads=3, hidden_dim=50, max_position_embeddings=64)
    yield from every("DistilBert", "distilbert", distil)
    for act in ("relu", "silu", "gelu_new", "tanh"):
        yield f"distilbert-act-{act}", "DistilBertForMaskedLM", dict(distil, activation=act), "half"
    yield "distilbert-sinus", "DistilBertForTokenClassification", dict(distil, sinusoidal_pos_embds=True), "bin"
    yield "distilbert-untied", "DistilBertForMaskedLM", dict(distil, tie_word_embeddings=False), "bin"
    yield "distilbert-qint8", "DistilBertForMaskedLM", distil, "qint8"
    yield "distilbert-wide", "DistilBertForQuestionAnswering", dict(distil, dim=52, n_heads=2, hidden_dim=131), "legacy"

    mobile = dict(BASE, embedding_size=20, intra_bottleneck_size=24, true_hidden_size=24, num_feedforward_networks=2)
    for name, more in {
        "layer-norm": dict(normalization_type="layer_norm", layer_norm_eps=1e-6), "no-trigram": dict(trigram_input=False), "own-keys": dict(key_query_shared_bottleneck=False, intra_bottleneck_size=36, true_hidden_size=36),
        "bottleneck-attention": dict(use_bottleneck_attention=True), "own-bottleneck-attention": dict(use_bottleneck_attention=True, key_query_shared_bottleneck=False),
        "no-bottleneck": dict(use_bottleneck=False, true_hidden_size=36, intra_bottleneck_size=36),
        "one-ffn": dict(num_feedforward_networks=1), "raw-pooler": dict(classifier_activation=False), "one-width": dict(embedding_size=36, trigram_input=False),
        "gelu": dict(hidden_act="gelu"),
    }.items():
        yield f"mobilebert-{name}", "MobileBertForSequenceClassification", dict(mobile, num_labels=3, **more), "safetensors"
        yield f"mobilebert-words-{name}", "MobileBertForMaskedLM", dict(mobile, **more), "safetensors"

    deberta = dict(BASE, type_vocab_size=0, relative_attention=True, position_biased_input=False, pos_att_type=["p2c", "c2p"], share_att_key=True,
                   position_buckets=8, norm_rel_ebd="layer_norm", max_relative_positions=-1)
    yield from every("DebertaV2", "deberta-v2", deberta)
    for name, more in {
        "c2p": dict(pos_att_type=["c2p"]), "p2c": dict(pos_att_type=["p2c"]), "content": dict(pos_att_type=[]), "string": dict(pos_att_type="p2c|c2p"),
        "own-keys": dict(share_att_key=False), "own-keys-c2p": dict(share_att_key=False, pos_att_type=["c2p"]), "own-keys-p2c": dict(share_att_key=False, pos_att_type=["p2c"]),
        "linear": dict(position_buckets=-1), "linear-short": dict(position_buckets=-1, max_relative_positions=7), "far": dict(max_relative_positions=40, position_buckets=16),
        "plain-table": dict(norm_rel_ebd="none"), "absolute": dict(relative_attention=False, position_biased_input=True), "both": dict(position_biased_input=True, type_vocab_size=2),
        "narrow": dict(embedding_size=20), "narrow-words": dict(embedding_size=20), "tanh": dict(pooler_hidden_act="tanh", hidden_act="gelu_new"), "eps": dict(layer_norm_eps=1e-3),
        "wide": dict(hidden_size=52, num_attention_heads=2, intermediate_size=9), "odd-buckets": dict(position_buckets=9),
    }.items():
        yield f"deberta-{name}", "DebertaV2ForMaskedLM" if name.endswith("words") else "DebertaV2ForSequenceClassification", dict(deberta, **more), "safetensors"
    for how in ("safetensors", "bin"):
        # With tied words transformers puts the word table where this head's layer should be, and fails.
        yield f"deberta-new-words-{how}", "DebertaV2ForMaskedLM", dict(deberta, legacy=False, tie_word_embeddings=False), how
        yield f"deberta-untied-{how}", "DebertaV2ForMaskedLM", dict(deberta, tie_word_embeddings=False), how
    yield "deberta-qint8", "DebertaV2ForTokenClassification", deberta, "qint8"

    modern = dict(BASE, local_attention=6, global_attn_every_n_layers=2, num_hidden_layers=4, pad_token_id=0, cls_token_id=2, sep_token_id=3,
                  bos_token_id=2, eos_token_id=3, reference_compile=False)
    yield from every("ModernBert", "modernbert", modern)
    for name, more in {
        "biases": dict(attention_bias=True, mlp_bias=True, norm_bias=True, classifier_bias=True), "mean": dict(classifier_pooling="mean"),
        "all-global": dict(global_attn_every_n_layers=1), "thirds": dict(global_attn_every_n_layers=3), "odd-window": dict(local_attention=7), "narrow-window": dict(local_attention=2),
        "thetas": dict(global_rope_theta=1e6, local_rope_theta=50.0), "silu": dict(hidden_activation="silu"),
        "tanh-head": dict(classifier_activation="tanh"), "eps": dict(norm_eps=1e-3), "wide": dict(hidden_size=52, num_attention_heads=2, intermediate_size=9),
    }.items():
        yield f"modernbert-{name}", "ModernBertForSequenceClassification", dict(modern, num_labels=3, **more), "safetensors"
    if int(transformers.__version__.split(".")[0]) < 5:
        yield "modernbert-one-theta", "ModernBertForSequenceClassification", dict(modern, local_rope_theta=None), "safetensors"
    yield "modernbert-no-decoder-bias", "ModernBertForMaskedLM", dict(modern, decoder_bias=False), "bin"
    yield "modernbert-untied", "ModernBertForMaskedLM", dict(modern, tie_word_embeddings=False), "safetensors"
    yield "modernbert-words-biases", "ModernBertForMaskedLM", dict(modern, classifier_bias=True, norm_bias=True, classifier_activation="relu"), "half"
    yield "modernbert-qint8", "ModernBertForTokenClassification", modern, "qint8"


def redraw(model):
    """Weights far from the usual 0.02, so that whatever is mistaken shows; smaller where no norm keeps their products small."""
    matrix = 0.7 if getattr(model.config, "normalization_type", "") == "no_norm" else 1.5
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            norm = p.dim() == 1 and name == "weight"
            scale = 0.2 if norm else 0.1 if p.dim() == 1 else 0.3 if isinstance(module, torch.nn.Embedding) else matrix / p.shape[-1] ** 0.5
            p.data = torch.randn(p.shape) * scale + (1 if norm else 0)
    model.tie_weights()


def quantise(model):
    """The state dict of quantize_dynamic, and in the model itself the weights that its codes stand for."""
    q = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {torch.nn.Linear}, dtype=torch.qint8)
    state = q.state_dict()
    for name, module in q.named_modules():
        if isinstance(module, torch.ao.nn.quantized.dynamic.Linear):
            model.get_submodule(name).weight = torch.nn.Parameter(module.weight().dequantize())
    return state


class Plain(torch.nn.Module):
    """The model with inputs by their order and its answers alone."""

    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs):
        out = self.model(**dict(zip(self.names, inputs)), return_dict=True)
        return tuple(out[k] for k in ("logits", "start_logits", "end_logits") if k in out)


def export(model, file, how):
    """Exports a model with a head to ONNX, by the classic exporter or by dynamo."""
    names = ["input_ids", "attention_mask"]
    if (getattr(model.config, "type_vocab_size", 0) or 0) > 0 and model.config.model_type not in UNTYPED:
        names.append("token_type_ids")
    answers = ["start_logits", "end_logits"] if "Question" in type(model).__name__ else ["logits"]
    ids = torch.arange(5, 16)[None]
    feed = (ids, torch.ones_like(ids), torch.zeros_like(ids))[:len(names)]
    if how == "onnx-dynamo":
        sizes = tuple({0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence", max=64)} for _ in names)
        torch.onnx.export(Plain(model, names).eval(), feed, file, input_names=names, output_names=answers, dynamic_shapes=(sizes,), dynamo=True, verbose=False)
    else:
        torch.onnx.export(Plain(model, names).eval(), feed, file, input_names=names, output_names=answers, opset_version=int(how[5:]), dynamo=False,
                          dynamic_axes={n: {0: "batch", 1: "sequence"} for n in names})


def save(model, folder, how):
    if how == "safetensors":
        return model.save_pretrained(folder)
    if how in ("half", "bfloat16"):
        dtype = torch.float16 if how == "half" else torch.bfloat16
        for p in model.parameters():  # and no buffer, which would not be in the file
            p.data = p.data.to(dtype).float()
        return copy.deepcopy(model).to(dtype).save_pretrained(folder)
    model.config.architectures = [type(model).__name__]
    if how.startswith("onnx-"):
        model.config.save_pretrained(folder)
        with contextlib.redirect_stdout(sys.stderr):
            return export(model, folder + "/model.onnx", how)
    state = quantise(model) if how == "qint8" else model.state_dict()
    model.config.save_pretrained(folder)
    torch.save(state, folder + "/pytorch_model.bin", _use_new_zipfile_serialization=how != "legacy")


def sequences(config, how):
    """Short, long and odd ones: two texts, and the padding's id in the middle."""
    types = getattr(config, "type_vocab_size", 0) or 0
    for i, n in enumerate((1, 7, 33)):
        ids = torch.randint(5, len(VOCAB), (1, n))
        ids[0, 0] = 2
        if n > 5:
            ids[0, -1] = 3
            ids[0, 4] = 4
        if i == 1:
            ids[0, 2] = config.pad_token_id or 0
        yield ids, (torch.arange(n)[None] > n // 2).long() if types > 1 else torch.zeros_like(ids), types > 0


def expect(model, config, how):
    out = {}
    base = getattr(model, model.base_model_prefix, model)
    for i, (ids, types, typed) in enumerate(sequences(config, how)):
        feed = dict(input_ids=ids, attention_mask=torch.ones_like(ids))
        if typed and config.model_type not in UNTYPED:
            feed["token_type_ids"] = types
        with torch.no_grad():
            inner, got = base(**feed, output_hidden_states=True), model(**feed)
        out[f"{i}.ids"], out[f"{i}.types"] = ids[0].int(), types[0].int()
        states = inner.hidden_states
        if config.model_type == "albert":  # newer versions list the inner layers as well
            states = states[:1] + states[1:][len(states[1:]) // config.num_hidden_layers - 1::len(states[1:]) // config.num_hidden_layers]
        if config.model_type == "modernbert" and torch.equal(states[-1], inner.last_hidden_state):
            states = states[:-1]  # newer versions give the last one after its norm
        for layer, h in enumerate(states if not how.startswith("onnx-") else ()):
            out[f"{i}.hidden.{layer}"] = h[0]
        out[f"{i}.last"] = inner.last_hidden_state[0]
        if getattr(inner, "pooler_output", None) is not None and not how.startswith("onnx-"):
            out[f"{i}.pooler"] = inner.pooler_output[0]
        if "start_logits" in got:
            out[f"{i}.start"], out[f"{i}.end"] = got.start_logits[0], got.end_logits[0]
        logits = got.get("prediction_logits") if "prediction_logits" in got else got.get("logits")
        if logits is not None and "ElectraForPreTraining" != type(model).__name__:
            out[f"{i}.logits"] = logits[0]
    return {k: v.contiguous().clone() for k, v in out.items()}


def main():
    root, listed, failed = sys.argv[1], [], []
    torch.set_num_threads(1)
    with open(root + "/vocab.txt", "w") as f:
        f.write("\n".join(VOCAB) + "\n")
    tokenizer = transformers.BertTokenizerFast(root + "/vocab.txt", model_max_length=60)
    for seed, (name, cls, keys, how) in enumerate(models()):
        if how == "qint8" and not hasattr(torch.ao.quantization, "quantize_dynamic"):
            continue  # gone from newer versions
        torch.manual_seed(seed)
        made = getattr(transformers, cls)
        config = made.config_class(**keys)
        config._attn_implementation = "eager"
        model = made(config).eval()
        redraw(model)
        folder = f"{root}/{name}"
        os.mkdir(folder)
        try:
            save(model, folder, how)
        except Exception as err:
            if not how.startswith("onnx-"):
                raise
            failed.append(f"{name}: {type(err).__name__}")  # the exporter's affair
            continue
        tokenizer.save_pretrained(folder)
        save_file(expect(model, config, how), folder + "/expected.safetensors")
        listed.append({"name": name, "class": cls, "how": how, "arch": config.model_type})
    print(json.dumps({"versions": f"torch {torch.__version__}, transformers {transformers.__version__}", "models": listed, "failed": failed}))


main()
