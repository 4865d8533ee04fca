package hub

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Limits on the files that say which other files there are.
const (
	maxModules = 64
	maxShards  = 1000
	maxSmall   = 64 << 20 // bytes of a file that is read for choosing
)

// The names that a model's folder may hold. A tokenizer.json says all that the
// older vocabulary files say.
const (
	configName    = "config.json"
	modulesName   = "modules.json"
	tokenizerName = "tokenizer.json"
)

// tree is a set of files, on a hub or in the cache.
type tree struct {
	paths []string                          // sorted
	read  func(path string) ([]byte, error) // of a small file
}

func (t *tree) has(path string) bool {
	_, found := slices.BinarySearch(t.paths, path)
	return found
}

// choice collects the files of a model.
type choice struct {
	*tree
	chosen  []string
	weights []string
}

// absent is a file without which there is no model.
type absent struct{ file, problem, cure string }

func (e *absent) Error() string { return e.file + ": " + e.problem }

// choose returns the files of a tree that a model needs and no others, weights
// last: the configuration, the tokenizer, the modules of sentence-transformers, and
// weights as safetensors, or as PyTorch's where there are none, or as an ONNX file
// where there are no others. An ONNX file says itself what it computes, so that the
// configuration may be absent beside it.
func (t *tree) choose(noWeights bool) ([]string, error) {
	c := &choice{tree: t}
	sub, err := c.modules(noWeights)
	if err != nil {
		return nil, err
	}
	if c.take(sub, configName) == 0 && (c.hasWeights(sub) || len(c.exported(sub)) == 0) {
		return nil, &absent{file: path.Join(sub, configName), problem: "not there, so this is no model that can be read"}
	}
	if err := c.tokenizer(sub); err != nil {
		return nil, err
	}
	if !noWeights {
		found, err := c.weightsOf(sub)
		if err == nil && !found {
			err = c.export(sub)
		}
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(c.chosen)
	slices.Sort(c.weights)
	return append(slices.Compact(c.chosen), slices.Compact(c.weights)...), nil
}

// take adds those of a folder's files that exist and reports how many.
func (c *choice) take(sub string, names ...string) int {
	n := 0
	for _, name := range names {
		if p := path.Join(sub, name); c.has(p) {
			c.chosen = append(c.chosen, p)
			n++
		}
	}
	return n
}

// modules takes the files of sentence-transformers and returns the folder of the
// transformer, "" for the model's own.
func (c *choice) modules(noWeights bool) (string, error) {
	c.take("", "config_sentence_transformers.json")
	sub := ""
	if c.take("", modulesName) > 0 {
		text, err := c.read(modulesName)
		if err != nil {
			return "", err
		}
		var modules []struct{ Path, Type string }
		if err := json.Unmarshal(text, &modules); err != nil {
			return "", fmt.Errorf("read %s: %w", modulesName, err)
		}
		if len(modules) > maxModules {
			return "", fmt.Errorf("read %s: %d modules, more than %d", modulesName, len(modules), maxModules)
		}
		for i, m := range modules {
			if m.Path != "" && !plainPath(m.Path) {
				return "", fmt.Errorf("read %s: module %d: %q leaves the folder", modulesName, i, m.Path)
			}
			if kind := m.Type[strings.LastIndexByte(m.Type, '.')+1:]; kind == "Transformer" {
				sub = m.Path
			} else if err := c.module(m.Path, kind, noWeights); err != nil {
				return "", err
			}
		}
	}
	for _, kind := range []string{"bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet", "mpnet", "electra"} {
		c.take(sub, "sentence_"+kind+"_config.json")
	}
	return sub, nil
}

// module takes the files of one module that is not the transformer.
func (c *choice) module(sub, kind string, noWeights bool) error {
	if sub == "" {
		return nil // without a folder it has no files of its own
	}
	weighs := kind == "Dense" || kind == "LayerNorm"
	if n := c.take(sub, configName); n == 0 && (kind == "Pooling" || weighs) {
		return &absent{file: path.Join(sub, configName), problem: "not there, but " + modulesName + " names it"}
	}
	if noWeights {
		return nil
	}
	found, err := c.weightsOf(sub)
	if err == nil && !found && weighs {
		err = c.weightless(sub, "not there, nor pytorch_model.bin")
	}
	return err
}

// tokenizer takes the files of a tokenizer.
func (c *choice) tokenizer(sub string) error {
	n := c.take(sub, tokenizerName)
	c.take(sub, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
	if n == 0 {
		n = c.take(sub, "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "spm.model", "sentencepiece.bpe.model", "tokenizer.model")
	}
	if n == 0 {
		return &absent{file: path.Join(sub, tokenizerName), problem: "not there, nor a vocabulary"}
	}
	return nil
}

// weightForm is a way in which a folder may hold weights.
type weightForm struct{ single, index, ext string }

// weightFiles are those ways, the best first. transformers too takes the single file
// where there is an index beside it.
func weightFiles() []weightForm {
	return []weightForm{
		{"model.safetensors", "model.safetensors.index.json", ".safetensors"},
		{"pytorch_model.bin", "pytorch_model.bin.index.json", ".bin"},
	}
}

// weightsOf takes a folder's weights in the best form it has, and in no other, and
// reports whether it has any.
func (c *choice) weightsOf(sub string) (bool, error) {
	for _, w := range weightFiles() {
		if single := path.Join(sub, w.single); c.has(single) {
			c.weights = append(c.weights, single)
			return true, nil
		}
		if index := path.Join(sub, w.index); c.has(index) {
			c.chosen = append(c.chosen, index)
			return true, c.shards(sub, index, w.ext)
		}
	}
	return false, nil
}

// weightless is the error for a folder without weights.
func (c *choice) weightless(sub, problem string) error {
	return &absent{file: path.Join(sub, "model.safetensors"), problem: problem, cure: c.otherWeights()}
}

// hasWeights reports whether a folder has weights that need a configuration.
func (c *choice) hasWeights(sub string) bool {
	return slices.ContainsFunc(weightFiles(), func(w weightForm) bool {
		return c.has(path.Join(sub, w.single)) || c.has(path.Join(sub, w.index))
	})
}

// exported lists the ONNX files that may stand for a folder's weights: the one with the
// usual name alone, else all of the folder and of the one that exporters use.
func (c *choice) exported(sub string) []string {
	for _, name := range []string{"model.onnx", "onnx/model.onnx"} {
		if p := path.Join(sub, name); c.has(p) {
			return []string{p}
		}
	}
	var found []string
	for _, p := range c.paths {
		dir := path.Dir(p)
		if strings.EqualFold(path.Ext(p), ".onnx") && !strings.HasPrefix(path.Base(p), ".") && (dir == path.Clean(sub) || dir == path.Join(sub, "onnx")) {
			found = append(found, p)
		}
	}
	return found
}

// export takes the ONNX file that stands for a folder's weights, and its external data:
// files called like it with more behind, as all exporters do that write one such file.
func (c *choice) export(sub string) error {
	found := c.exported(sub)
	if len(found) == 0 {
		return c.weightless(sub, "not there, nor pytorch_model.bin, nor an ONNX file")
	}
	if len(found) > 1 {
		return &absent{file: path.Join(sub, "onnx/model.onnx"), problem: "not there, but other ONNX files: " + strings.Join(found[:min(len(found), 8)], ", "),
			cure: "download the one you want and give the file"}
	}
	for _, p := range c.paths {
		rest, ok := strings.CutPrefix(p, found[0])
		if ok && (rest == "" || strings.HasPrefix(rest, "_data") || strings.HasPrefix(rest, ".data")) && !strings.Contains(rest, "/") {
			c.weights = append(c.weights, p)
		}
	}
	return nil
}

// shards takes the files that an index names.
func (c *choice) shards(sub, index, ext string) error {
	text, err := c.read(index)
	if err != nil {
		return err
	}
	var table struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &table); err != nil {
		return fmt.Errorf("read %s: %w", index, err)
	}
	seen := make(map[string]bool)
	for _, shard := range table.Map {
		if seen[shard] {
			continue
		}
		if len(seen) == maxShards {
			return fmt.Errorf("read %s: more than %d shards", index, maxShards)
		}
		seen[shard] = true
		p := path.Join(sub, shard)
		if !plainPath(shard) || strings.Contains(shard, "/") || strings.HasPrefix(shard, ".") || !strings.HasSuffix(shard, ext) {
			return fmt.Errorf("read %s: %q is not a %s file of this folder", index, shard, ext)
		}
		if !c.has(p) {
			return &absent{file: p, problem: "not there, but " + index + " names it"}
		}
		c.weights = append(c.weights, p)
	}
	if len(seen) == 0 {
		return fmt.Errorf("read %s: it names no shard", index)
	}
	return nil
}

// otherWeights says what a repository holds in place of readable weights.
func (c *choice) otherWeights() string {
	var found []string
	for _, p := range c.paths {
		switch path.Ext(p) {
		case ".h5", ".msgpack", ".onnx", ".gguf", ".tflite", ".ot", ".bin", ".safetensors", ".pt":
			if len(found) < 3 {
				found = append(found, p)
			}
		}
	}
	if len(found) == 0 {
		return ""
	}
	return "it has " + strings.Join(found, ", ") + ", which are not read from a hub"
}
