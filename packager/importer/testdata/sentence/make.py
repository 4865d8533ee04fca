"""Makes the files beside it with sentence-transformers 5.7.0, transformers 4.57.6 and torch 2.8.0.

A BERT of 1,000 random weights, and in golden.json what sentence-transformers embeds with it under
several poolings, prompts and modules: each case has the files that differ and, by prompt, the vectors.
"""
import json, os, shutil, sys, tempfile
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules.layer_norm import LayerNorm

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] query passage a sea of quiet light ##s ##er : . , the harbour boat ##man in".split()
TEXTS = ["the quiet sea", "a boat, in the harbour lights.", "light", "", "lighter boatman of the quiet sea in the harbour a boat"]
PROMPTS = {"query": "query: ", "passage": "passage: the ", "long": "a boat in the harbour: the quiet lights of the sea", "none": ""}
MODES = ["cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]


def base(folder):
    torch.manual_seed(7)
    config = BertConfig(vocab_size=len(WORDS), hidden_size=6, num_hidden_layers=1, num_attention_heads=2, intermediate_size=10,
                        max_position_embeddings=12, type_vocab_size=2)
    model = BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * 0.7 + (1 if name.endswith("LayerNorm.weight") else 0))
    model.save_pretrained(folder)
    with open(os.path.join(folder, "vocab.txt"), "w") as f:
        f.write("\n".join(WORDS))
    BertTokenizerFast(os.path.join(folder, "vocab.txt"), model_max_length=12).save_pretrained(folder)
    for name in ("vocab.txt", "special_tokens_map.json"):
        os.remove(os.path.join(folder, name))
    put(folder, "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}])
    norm = LayerNorm(12)
    with torch.no_grad():
        norm.norm.weight.copy_(torch.randn(12) + 1)
        norm.norm.bias.copy_(torch.randn(12))
    os.makedirs(os.path.join(folder, "2_LayerNorm"), exist_ok=True)
    norm.save(os.path.join(folder, "2_LayerNorm"))
    put(folder, "sentence_bert_config.json", {"max_seq_length": 10, "do_lower_case": False})


def put(folder, name, value):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def flags(*on, **more):
    return {"word_embedding_dimension": 6, **{"pooling_mode_" + m: m in on for m in MODES}, **more}


def modes(*names, **more):
    return {"embedding_dimension": 6, "pooling_mode": list(names) if len(names) > 1 else names[0], **more}


def behind(*kinds):
    names = [("", "Transformer"), ("1_Pooling", "Pooling"), *((f"{i + 2}_{k}", k) for i, k in enumerate(kinds))]
    return [{"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models." + kind} for i, (path, kind) in enumerate(names)]


def cases():
    every = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
    yield "every flag", flags(*MODES), {}
    yield "no flag", flags(), {}
    yield "no mode", {"word_embedding_dimension": 6}, {}
    yield "two flags", flags("max_tokens", "mean_tokens"), {"prompts": PROMPTS, "default_prompt_name": "query"}
    yield "root of the length", flags("mean_sqrt_len_tokens"), {}
    yield "a list", modes("lasttoken", "mean", "cls"), {"prompts": PROMPTS, "default_prompt_name": None}
    yield "a list of one", {**modes("mean"), "pooling_mode": ["mean_sqrt_len_tokens"]}, {}
    yield "one twice", modes("mean", "mean"), {}
    yield "flags and a mode", flags("max_tokens", pooling_mode="cls"), {}
    for mode in every:
        yield mode + " after the prompt", modes(mode, include_prompt=False), {"prompts": PROMPTS, "default_prompt_name": "passage"}
    yield "norm of two", flags("max_tokens", "mean_tokens"), {}, behind("LayerNorm", "Dropout", "Normalize")
    yield "flags after the prompt", flags("cls_token", "mean_tokens", "weightedmean_tokens", include_prompt=False), {"prompts": PROMPTS}


def main():
    base(HERE)
    golden = []
    for name, pooling, prompts, *modules in cases():
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(HERE, folder, dirs_exist_ok=True)
            put(folder, "1_Pooling/config.json", pooling)
            if prompts:
                put(folder, "config_sentence_transformers.json", prompts)
            if modules:
                put(folder, "modules.json", modules[0])
                put(folder, "3_Dropout/config.json", {"dropout": 0.2})
            model = SentenceTransformer(folder, device="cpu")
            vectors = {}
            for prompt in ["default", *prompts.get("prompts", {})]:
                rows = [model.encode(t, prompt_name=None if prompt == "default" else prompt) for t in TEXTS]
                vectors[prompt] = [[round(float(x), 5) for x in row] if abs(row).max() < 1e9 else None for row in rows]
            golden.append({"name": name, "pooling": pooling, "prompts": prompts or None, "modules": modules[0] if modules else None, "vectors": vectors})
    with open(os.path.join(HERE, "golden.json"), "w") as f:
        f.write('{"texts": %s, "cases": [\n' % json.dumps(TEXTS))
        f.write(",\n".join(json.dumps(g) for g in golden) + "\n]}\n")


main()
