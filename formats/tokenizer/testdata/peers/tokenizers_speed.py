"""Times PyPI tokenizers on one thread.

Arguments: tokenizer.json files. Standard input: a text. Prints one JSON object:
the version, and for each file the ids and the best of many rates in MB/s, with
offsets (encode) and without (encode_batch_fast).
"""
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers

text = sys.stdin.read()
size = len(text.encode())


def rate(call):
    best, end = 1e9, time.perf_counter() + 0.7
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return size / best / 1e6


out = []
for path in sys.argv[1:]:
    t = tokenizers.Tokenizer.from_file(path)
    t.no_truncation()
    t.no_padding()
    fast = getattr(t, "encode_batch_fast", t.encode_batch)
    out.append({
        "ids": t.encode(text).ids,
        "encode": rate(lambda: t.encode(text)),
        "fast": rate(lambda: fast([text])),
    })
json.dump({"version": tokenizers.__version__, "files": out}, sys.stdout)
