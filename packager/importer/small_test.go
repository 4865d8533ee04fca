package importer

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"slices"
)

const smallConfig = `{
  "architectures": ["BertModel"], "model_type": "bert", "vocab_size": 11, "hidden_size": 4, "num_hidden_layers": 1,
  "num_attention_heads": 2, "intermediate_size": 6, "max_position_embeddings": 16, "type_vocab_size": 2,
  "hidden_act": "gelu", "layer_norm_eps": 1e-12, "position_embedding_type": "absolute", "dtype": "float32"
}`

const smallTokenizer = `{
  "version": "1.0", "truncation": null, "padding": null,
  "added_tokens": [
    {"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 1, "content": "[UNK]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 2, "content": "[CLS]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 3, "content": "[SEP]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
  ],
  "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
    "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
      {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
    "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
  "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
    "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "c": 6, "d": 7, "##x": 8, "y": 9, "z": 10}}
}`

// weight is a tensor to be stored.
type weight struct {
	dtype string
	shape []int
	data  string
}

// values is an F32 tensor whose values step through a fixed pattern.
func values(seed int, shape ...int) weight {
	n := 1
	for _, d := range shape {
		n *= d
	}
	var data []byte
	for i := range n {
		v := float32((seed*7+i*5)%13)/6 - 1
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return weight{"F32", shape, string(data)}
}

// ones is a tensor of some values.
func ones(shape ...int) weight { return values(1, shape...) }

// smallWeights are the tensors of smallConfig under a prefix, with the two
// names of a LayerNorm's parts.
func smallWeights(prefix, gain, bias string) map[string]weight {
	w := map[string]weight{
		"embeddings.word_embeddings.weight":       values(1, 11, 4),
		"embeddings.position_embeddings.weight":   values(2, 16, 4),
		"embeddings.token_type_embeddings.weight": values(3, 2, 4),
		"embeddings.position_ids":                 {"I64", []int{1, 0}, ""},
	}
	const layer = "encoder.layer.0."
	for i, name := range []string{"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"} {
		w[layer+name+".weight"], w[layer+name+".bias"] = values(4+i, 4, 4), values(8+i, 4)
	}
	w[layer+"intermediate.dense.weight"], w[layer+"intermediate.dense.bias"] = values(12, 6, 4), values(13, 6)
	w[layer+"output.dense.weight"], w[layer+"output.dense.bias"] = values(14, 4, 6), values(15, 4)
	for i, name := range []string{"embeddings.", layer + "attention.output.", layer + "output."} {
		w[name+"LayerNorm."+gain], w[name+"LayerNorm."+bias] = values(16+i, 4), values(20+i, 4)
	}
	out := make(map[string]weight)
	for name, t := range w {
		out[prefix+name] = t
	}
	return out
}

// store makes a safetensors file.
func store(tensors map[string]weight) []byte {
	header, data := make(map[string]any), []byte{}
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		t := tensors[name]
		begin := len(data)
		data = append(data, t.data...)
		header[name] = map[string]any{"dtype": t.dtype, "shape": t.shape, "data_offsets": []int{begin, len(data)}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(append(out, text...), data...)
}
