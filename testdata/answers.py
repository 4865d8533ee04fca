"""Makes answers.json: what the question answering pipeline of transformers 4.57.6 finds with the model of
shared/fixtures/bert-question-answering, for options beside its defaults. Argument: that folder."""
import json, sys
from transformers import pipeline

ask = pipeline("question-answering", model=sys.argv[1], tokenizer=sys.argv[1], device="cpu")
LONG = ("The function returns a list of names, and a tuple where the names are not known. An error is raised when the file cannot be "
        "opened, or when its first line is longer than the limit. The module has two classes, of which one is kept for old programs.")
PAIRS = [["What does the function return?", LONG], ["When is an error raised?", LONG], ["Where?", "Nowhere at all."]]
OPTIONS = [{"top_k": 1}, {"top_k": 3}, {"top_k": 4, "max_answer_len": 3}, {"top_k": 2, "max_seq_len": 30, "doc_stride": 5},
           {"top_k": 5, "handle_impossible_answer": True}, {"top_k": 2, "max_seq_len": 24, "doc_stride": 4, "handle_impossible_answer": True}]
out = []
for pair in PAIRS:
    for options in OPTIONS:
        found = ask(question=pair[0], context=pair[1], **options)
        found = found if isinstance(found, list) else [found]
        out.append({"pair": pair, "options": options,
                    "answers": [{"answer": a["answer"], "start": a["start"], "end": a["end"], "score": round(a["score"], 7)} for a in found]})
with open(sys.path[0] + "/answers.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(o) for o in out) + "\n]\n")
