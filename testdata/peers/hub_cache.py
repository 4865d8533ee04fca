"""Reads a cache that skiff filled, without a network, and fills one from a hub.

usage: hub_cache.py read CACHE REPO | hub_cache.py fill CACHE REPO FILE...
"""
import json
import os
import sys

do, cache, repo, *files = sys.argv[1:]
if do == "fill":
    os.environ["HF_HUB_OFFLINE"] = "0"
    os.environ["HF_HUB_DISABLE_XET"] = "1"

import huggingface_hub as hub  # noqa: E402  it reads the environment once

if do == "fill":
    print(json.dumps([hub.hf_hub_download(repo, f, cache_dir=cache) for f in files]))
else:
    snapshot = hub.snapshot_download(repo, cache_dir=cache)
    info = hub.scan_cache_dir(cache)
    revision = next(iter(next(iter(info.repos)).revisions))
    print(json.dumps({
        "snapshot": snapshot,
        "config": hub.hf_hub_download(repo, "config.json", cache_dir=cache),
        "weights": hub.try_to_load_from_cache(repo, "model.safetensors", cache_dir=cache),
        "commit": revision.commit_hash,
        "refs": sorted(revision.refs),
        "files": sorted(os.path.relpath(f.file_path, snapshot).replace(os.sep, "/") for f in revision.files),
        "warnings": [str(w) for w in info.warnings],
    }))
