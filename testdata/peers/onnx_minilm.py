"""Times an int8 ONNX sentence encoder with onnxruntime on one thread: argv is the file, then token counts.

Prints one JSON object: milliseconds of one text by number of tokens, the median of many runs.
"""
import json
import statistics
import sys
import time

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
names = {i.name for i in session.get_inputs()}
result = {}
for tokens in map(int, sys.argv[2:]):
    ids = numpy.arange(1000, 1000 + tokens, dtype=numpy.int64)[None]
    feed = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
    feed = {k: v for k, v in feed.items() if k in names}
    times = []
    for _ in range(40):
        start = time.perf_counter()
        session.run(None, feed)
        times.append((time.perf_counter() - start) * 1e3)
    result[str(tokens)] = statistics.median(times[8:])
print(json.dumps({"version": onnxruntime.__version__, "ms": result}))
