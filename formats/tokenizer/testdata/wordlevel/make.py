"""Makes golden.json: WordLevel tokenizers, and what tokenizers 0.22.2 makes of texts with them."""
import json, os
from tokenizers import Tokenizer, AddedToken, models, normalizers, pre_tokenizers, processors, decoders

WORDS = "[PAD] [UNK] [CLS] [SEP] the a sea , . café naïve 海 harbour boat ' s [MASK] it's x-y".split()
TEXTS = ["the sea", "The sea, a boat.", "", " ", "café naïve cafe\u0301 naive", "海海 海", "the unknown harbour's boat [MASK] [UNK]",
         "it's x-y x - y", "a\u0301 \u200bsea\ttab\nline", "boat<new>boat <new> [SEP]", "\ud83d\ude00 the \U0001f6a2 sea".encode("utf-16", "surrogatepass").decode("utf-16"),
         "the the the sea sea sea a a a boat boat boat harbour"]
PAIRS = [["the sea", "a boat"], ["", "boat"], ["unknown words", ""], ["the the the sea sea sea", "a a a boat boat boat harbour"]]


def vocabulary(words):
    return {w: i for i, w in enumerate(words)}


def build():
    t = Tokenizer(models.WordLevel(vocabulary(WORDS), unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    yield "whitespace", t
    t = Tokenizer(models.WordLevel(vocabulary(WORDS), unk_token="[UNK]"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    t.add_special_tokens(["[PAD]", "[CLS]", "[SEP]", "[MASK]"])
    t.add_tokens([AddedToken("<new>", lstrip=True)])
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    t.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    yield "template", t
    t = Tokenizer(models.WordLevel(vocabulary(WORDS), unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    t.enable_truncation(8, stride=1)
    t.enable_padding(pad_id=0, pad_token="[PAD]", length=8)
    yield "bert", t
    t = Tokenizer(models.WordLevel(vocabulary([w for w in WORDS if w != "[UNK]"]), unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    yield "no unknown", t
    t = Tokenizer(models.WordLevel({"": 0, "whole text": 1, "\u2581": 2}, unk_token=""))
    yield "no pre-tokenizer", t


def encoded(t, text, pair, special):
    try:
        e = t.encode(text, pair, add_special_tokens=special)
    except Exception as err:
        return {"error": str(err)}
    return {"ids": e.ids, "tokens": e.tokens, "offsets": e.offsets, "type_ids": e.type_ids, "special_mask": e.special_tokens_mask,
            "decoded": t.decode(e.ids), "decoded_all": t.decode(e.ids, skip_special_tokens=False)}


out = []
for name, t in build():
    cases = [{"text": text, "pair": pair, "special": special, **encoded(t, text, pair, special)}
             for text, pair in [(x, None) for x in TEXTS] + PAIRS for special in ([True, False] if name == "template" else [True])]
    out.append({"name": name, "tokenizer": json.loads(t.to_str()), "cases": cases})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(o) for o in out) + "\n]\n")
