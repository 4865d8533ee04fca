"""Answers the benchmark with onnxruntime: see package line for what is said.

argv: the ONNX file, tokenizer.json, threads. A time is of padded id arrays in, hidden states out, without
tokenisation and pooling; a corpus is timed from texts to pooled vectors, sorted by length and padded in batches of 32.
"start_us" is the creation of the session and the first answer, after all imports.
"""
import json
import os
import sys
import threading
import time

threads = int(sys.argv[3])
os.environ["TOKENIZERS_PARALLELISM"] = "false" if threads == 1 else "true"
os.environ["RAYON_NUM_THREADS"] = str(threads)

import numpy
import onnxruntime

clock = time.perf_counter


def main():
    begin = clock()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    peer = Peer(session)
    peer.run([[5, 6, 7, 8, 9, 10, 11, 12]])
    start = (clock() - begin) * 1e6
    say({"ready": True, "kernels": "onnxruntime " + onnxruntime.__version__, "start_us": start})
    for line in sys.stdin:
        try:
            say(peer.answer(json.loads(line)))
        except Exception as e:  # the benchmark reports it and goes on with the others
            say({"error": f"{type(e).__name__}: {e}"})


def say(answer):
    print(json.dumps(answer), flush=True)


class Peer:
    def __init__(self, session):
        self.session = session
        self.names = {i.name for i in session.get_inputs()}

    def feed(self, ids):
        longest = max(map(len, ids))
        mask = numpy.array([[1] * len(s) + [0] * (longest - len(s)) for s in ids], dtype=numpy.int64)
        padded = numpy.array([s + [0] * (longest - len(s)) for s in ids], dtype=numpy.int64)
        feed = {"input_ids": padded, "attention_mask": mask, "token_type_ids": numpy.zeros_like(padded)}
        return {k: v for k, v in feed.items() if k in self.names}

    def run(self, ids):
        return self.session.run(None, self.feed(ids))

    def embed(self, ids):
        feed = self.feed(ids)
        mask = feed["attention_mask"][:, :, None].astype(numpy.float32)
        hidden = self.session.run(None, feed)[0]
        mean = (hidden * mask).sum(1) / mask.sum(1)
        return mean / numpy.linalg.norm(mean, axis=1, keepdims=True)

    def answer(self, r):
        if r["op"] == "embed":
            return {"vectors": self.embed(r["ids"]).tolist()}
        if r["op"] == "time":
            feed = self.feed(r["ids"])
            return timed(r["us"], lambda: self.session.run(None, feed))
        if r["op"] == "beside":
            feed, other = self.feed(r["ids"]), self.feed(r["second"]["ids"])
            return self.beside(r["us"], feed, other)
        if r["op"] == "corpus":
            return self.corpus(r["texts"])
        raise ValueError(f"unknown request {r['op']}")

    def beside(self, budget, feed, other):
        stop, count = threading.Event(), [0]

        def stream():
            while not stop.is_set():
                self.session.run(None, other)
                count[0] += 1

        thread = threading.Thread(target=stream)
        thread.start()
        try:
            result = timed(budget, lambda: self.session.run(None, feed))
        finally:
            stop.set()
            thread.join()
        return result | {"others": count[0]}

    def corpus(self, texts):
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_file(sys.argv[2])
        tokenizer.no_padding()
        tokenizer.enable_truncation(256)
        begin = clock()
        ids = [e.ids for e in tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for lo in range(0, len(order), 32):
            self.embed([ids[i] for i in order[lo:lo + 32]])
        return {"seconds": clock() - begin}


def timed(budget, call):
    begin = clock()
    call()
    first = (clock() - begin) * 1e6
    if first > budget:
        return {"us": first, "calls": 1}
    times, begin = [], clock()
    while len(times) < 3 or (clock() - begin) * 1e6 < budget:
        t = clock()
        call()
        times.append((clock() - t) * 1e6)
    times.sort()
    return {"us": times[len(times) // 2], "p90_us": times[len(times) * 9 // 10], "calls": len(times)}


main()
