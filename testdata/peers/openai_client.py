"""Asks a local /v1/embeddings through OpenAI's own client: argv is the base URL.

Prints one JSON object: the vectors as the client gets them by default (base64 on
the wire), and as lists of numbers.
"""
import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0, timeout=30)
texts = ["A man is playing a guitar.", "", "naïve café – 東京", "word " * 300]
default = client.embeddings.create(model="any", input=texts)
plain = client.embeddings.create(model="any", input=texts, encoding_format="float")
one = client.embeddings.create(model="any", input=texts[0])
try:
    client.embeddings.create(model="any", input=[])
    refused = ""
except openai.BadRequestError as err:
    refused = err.body["message"] if isinstance(err.body, dict) else str(err)
print(json.dumps({
    "client": openai.__version__,
    "order": [d.index for d in default.data],
    "default": [d.embedding for d in default.data],
    "float": [d.embedding for d in plain.data],
    "one": one.data[0].embedding,
    "tokens": default.usage.total_tokens,
    "refused": refused,
}))
