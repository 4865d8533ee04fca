"""Tokenises with transformers: argv is a model's folder; texts are JSON strings, one a line, on standard input."""
import json
import sys

import transformers

tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1], use_fast=True)
limit = json.load(open(sys.argv[1] + "/sentence_bert_config.json"))["max_seq_length"]
for line in sys.stdin:
    print(json.dumps(tokenizer(json.loads(line), truncation=True, max_length=limit)["input_ids"]))
