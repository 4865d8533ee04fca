package hub

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// treeOf is a tree whose files hold these texts.
func treeOf(files map[string]string) *tree {
	return &tree{paths: slices.Sorted(maps.Keys(files)), read: func(p string) ([]byte, error) { return []byte(files[p]), nil }}
}

// TestChoose: what a model needs, in each form it comes in, and nothing else.
func TestChoose(t *testing.T) {
	const index = `{"weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors", "c": "x-1.safetensors"}}`
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"one file", map[string]string{"config.json": "", "tokenizer.json": "", "model.safetensors": "", "pytorch_model.bin": "", "model.safetensors.index.json": "x", "README.md": "", "generation_config.json": ""},
			"config.json tokenizer.json model.safetensors"},
		{"shards", map[string]string{"config.json": "", "tokenizer.json": "", "model.safetensors.index.json": index, "x-1.safetensors": "", "x-2.safetensors": "", "x-3.safetensors": "", "pytorch_model.bin": ""},
			"config.json model.safetensors.index.json tokenizer.json x-1.safetensors x-2.safetensors"},
		{"PyTorch", map[string]string{"config.json": "", "vocab.txt": "", "tokenizer_config.json": "", "pytorch_model.bin": "", "tf_model.h5": "", "training_args.bin": ""},
			"config.json tokenizer_config.json vocab.txt pytorch_model.bin"},
		{"PyTorch shards", map[string]string{"config.json": "", "vocab.json": "", "merges.txt": "", "pytorch_model.bin.index.json": strings.ReplaceAll(index, "safetensors", "bin"), "x-1.bin": "", "x-2.bin": ""},
			"config.json merges.txt pytorch_model.bin.index.json vocab.json x-1.bin x-2.bin"},
		{"sentencepiece", map[string]string{"config.json": "", "spm.model": "", "special_tokens_map.json": "", "added_tokens.json": "", "model.safetensors": ""},
			"added_tokens.json config.json special_tokens_map.json spm.model model.safetensors"},
		{"modules", map[string]string{
			"modules.json":                      `[{"path":"0_Transformer","type":"a.Transformer"},{"path":"1_Pooling","type":"a.Pooling"},{"path":"2_Dense","type":"a.Dense"},{"path":"3_Normalize","type":"a.Normalize"}]`,
			"config_sentence_transformers.json": "", "0_Transformer/config.json": "", "0_Transformer/tokenizer.json": "", "0_Transformer/sentence_bert_config.json": "", "0_Transformer/pytorch_model.bin": "",
			"1_Pooling/config.json": "", "2_Dense/config.json": "", "2_Dense/model.safetensors": "", "2_Dense/pytorch_model.bin": "", "model.safetensors": "", "vocab.txt": "",
		}, "0_Transformer/config.json 0_Transformer/sentence_bert_config.json 0_Transformer/tokenizer.json 1_Pooling/config.json 2_Dense/config.json config_sentence_transformers.json modules.json 0_Transformer/pytorch_model.bin 2_Dense/model.safetensors"},
		{"ONNX", map[string]string{"config.json": "", "tokenizer.json": "", "onnx/model.onnx": "", "onnx/model.onnx_data": "", "onnx/model.onnx_data_1": "", "onnx/model_fp16.onnx": "", "onnx/model_fp16.onnx_data": "", "onnx/model_quantized.onnx": ""},
			"config.json tokenizer.json onnx/model.onnx onnx/model.onnx_data onnx/model.onnx_data_1"},
		{"ONNX without a configuration", map[string]string{"tokenizer.json": "", "model.onnx": "", "model.onnx.data": "", "model.onnxruntime": "", "onnx/model.onnx": ""},
			"tokenizer.json model.onnx model.onnx.data"},
		{"one ONNX file", map[string]string{"config.json": "", "tokenizer.json": "", "onnx/encoder.onnx": "", "onnx/encoder.onnx.data": "", "other/model.onnx": "", "onnx/.hidden.onnx": "", "onnx/encoder.onnx.old": "", "onnx/encoder.onnx_data/x": ""},
			"config.json tokenizer.json onnx/encoder.onnx onnx/encoder.onnx.data"},
		{"ONNX in capitals", map[string]string{"config.json": "", "tokenizer.json": "", "ENCODER.ONNX": ""}, "config.json tokenizer.json ENCODER.ONNX"},
		{"ONNX of a transformer", map[string]string{"modules.json": `[{"path":"0_T","type":"a.Transformer"},{"path":"1_N","type":"a.LayerNorm"}]`, "0_T/config.json": "", "0_T/tokenizer.json": "", "0_T/e.onnx": "", "other.onnx": "",
			"1_N/config.json": "", "1_N/model.safetensors": ""}, "0_T/config.json 0_T/tokenizer.json 1_N/config.json modules.json 0_T/e.onnx 1_N/model.safetensors"},
		{"ONNX beside others", map[string]string{"config.json": "", "tokenizer.json": "", "model.safetensors": "", "onnx/model.onnx": ""}, "config.json tokenizer.json model.safetensors"},
		{"ONNX with modules", map[string]string{"modules.json": `[{"path":"","type":"a.Transformer"},{"path":"1_Pooling","type":"a.Pooling"}]`, "1_Pooling/config.json": "", "config.json": "", "tokenizer.json": "", "onnx/model.onnx": ""},
			"1_Pooling/config.json config.json modules.json tokenizer.json onnx/model.onnx"},
	} {
		got, err := treeOf(c.files).choose(false)
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", c.name, err, diff)
		}
	}
}

// TestChooseRefuses names the file that is missing, or that names what it must not.
func TestChooseRefuses(t *testing.T) {
	many := strings.Repeat(`{"path":"","type":"x"},`, maxModules)
	for _, c := range []struct{ drop, add, text, want string }{
		{"config.json", "", "", "config.json: not there"},
		{"tokenizer.json", "", "", "tokenizer.json: not there, nor a vocabulary"},
		{"model.safetensors", "tf_model.h5", "", "model.safetensors: not there, nor pytorch_model.bin, nor an ONNX file"},
		{"model.safetensors", "other/model.onnx", "", "model.safetensors: not there, nor pytorch_model.bin, nor an ONNX file"},
		{"config.json", "onnx/model.onnx", "", "config.json: not there"},
		{"", "modules.json", "{", "modules.json"},
		{"", "modules.json", `[{"path":"../x","type":"a.Pooling"}]`, "leaves the folder"},
		{"", "modules.json", `[{"path":"/x","type":"a.Transformer"}]`, "leaves the folder"},
		{"", "modules.json", `[{"path":"1_Pooling","type":"a.Pooling"}]`, "1_Pooling/config.json: not there, but modules.json names it"},
		{"", "modules.json", "[" + many + `{"path":"","type":"x"}]`, "65 modules"},
		{"model.safetensors", "model.safetensors.index.json", "[]", "model.safetensors.index.json"},
		{"model.safetensors", "model.safetensors.index.json", "{}", "names no shard"},
		{"model.safetensors", "model.safetensors.index.json", `{"weight_map":{"a":"x.safetensors"}}`, "x.safetensors: not there"},
		{"model.safetensors", "model.safetensors.index.json", `{"weight_map":{"a":"../x.safetensors"}}`, `"../x.safetensors" is not`},
		{"model.safetensors", "model.safetensors.index.json", `{"weight_map":{"a":"config.json"}}`, `"config.json" is not`},
		{"model.safetensors", "pytorch_model.bin.index.json", `{"weight_map":{"a":"x.safetensors"}}`, `"x.safetensors" is not`},
	} {
		files := map[string]string{"config.json": "", "tokenizer.json": "", "model.safetensors": ""}
		delete(files, c.drop)
		files[c.add] = c.text
		_, err := treeOf(files).choose(false)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("without %q, with %s %.50s: %v, want %q", c.drop, c.add, c.text, err, c.want)
		}
		if gone := (*absent)(nil); errors.As(err, &gone) && c.add == "tf_model.h5" && !strings.Contains(gone.cure, c.add) {
			t.Errorf("cure %q", gone.cure)
		}
	}
}

// TestChooseModules: modules have weights of their own, which are no ONNX files.
func TestChooseModules(t *testing.T) {
	for _, kind := range []string{"Dense", "LayerNorm"} {
		files := map[string]string{"modules.json": `[{"path":"","type":"a.Transformer"},{"path":"2_M","type":"a.` + kind + `"}]`, "config.json": "", "tokenizer.json": "", "model.safetensors": ""}
		if _, err := treeOf(files).choose(false); err == nil || err.Error() != "2_M/config.json: not there, but modules.json names it" {
			t.Errorf("%s without a configuration: %v", kind, err)
		}
		files["2_M/config.json"], files["2_M/model.onnx"] = "", ""
		if _, err := treeOf(files).choose(false); err == nil || err.Error() != "2_M/model.safetensors: not there, nor pytorch_model.bin" {
			t.Errorf("%s without weights: %v", kind, err)
		}
	}
	shards := map[string]string{"model.safetensors.index.json": `{"weight_map":{"a":"x.safetensors"}}`, "x.safetensors": "", "tokenizer.json": "", "model.onnx": ""}
	if _, err := treeOf(shards).choose(false); err == nil || !strings.HasPrefix(err.Error(), "config.json: not there") {
		t.Errorf("shards without a configuration beside an ONNX file: %v", err)
	}
}

// TestChooseOneExport: which of several ONNX files is meant is for the user to say.
func TestChooseOneExport(t *testing.T) {
	files := map[string]string{"config.json": "", "tokenizer.json": "", "onnx/a.onnx": "", "onnx/b.onnx": ""}
	_, err := treeOf(files).choose(false)
	if err == nil || err.Error() != "onnx/model.onnx: not there, but other ONNX files: onnx/a.onnx, onnx/b.onnx" {
		t.Errorf("got %v", err)
	}
	if got, err := treeOf(files).choose(true); err != nil || len(got) != 2 {
		t.Errorf("without weights: %v, %v", got, err)
	}
}

// TestParseListing: what leaves the repository is refused, what is merely odd is
// left out.
func TestParseListing(t *testing.T) {
	text := `{"sha":"` + testCommit + `","siblings":[{"rfilename":"a/b.json","size":3,"blobId":"x"},{"rfilename":"m","size":130,"blobId":"x","lfs":{"sha256":"y","size":7,"pointerSize":130}},{"rfilename":"q:z"},{"rfilename":"n"}],"x":{"y":[1]}}`
	l, err := parseListing([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]listed{"a/b.json": {3, "x"}, "m": {7, "y"}, "n": {-1, ""}}
	if diff := cmp.Diff(want, l.files, cmp.AllowUnexported(listed{})); diff != "" || l.commit != testCommit {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, bad := range []string{
		"", "[]", "{}", `{"sha":"main"}`, `{"sha":"../../../../../../../../../../../../../abc"}`, `{"sha":"0123456789ABCDEF0123456789ABCDEF01234567"}`,
		strings.Replace(text, "a/b.json", "../b.json", 1), strings.Replace(text, "a/b.json", "/b.json", 1), strings.Replace(text, "a/b.json", "a/../../b", 1),
		strings.Replace(text, "a/b.json", ".", 1), strings.Replace(text, "a/b.json", "", 1), strings.Replace(text, "a/b.json", "a//b", 1),
		`{"sha":"` + testCommit + `","siblings":[` + strings.Repeat(`{"rfilename":"a"},`, maxListed) + `{"rfilename":"a"}]}`,
	} {
		if l, err := parseListing([]byte(bad)); err == nil {
			t.Errorf("%.200s gives %d files", bad, len(l.files))
		}
	}
}

// FuzzListing: no description of a model gives a name that is not below a folder.
func FuzzListing(f *testing.F) {
	f.Add([]byte(`{"sha":"` + testCommit + `","siblings":[{"rfilename":"a/b.json","size":3},{"rfilename":"m","lfs":{"sha256":"y","size":7}}]}`))
	f.Add([]byte(`{"sha":"` + testCommit + `","siblings":[{"rfilename":"..\\x"},{"rfilename":"a:b"},{"rfilename":"CON"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseListing(text)
		if err != nil {
			return
		}
		for p := range l.files {
			if !plainPath(p) {
				t.Errorf("path %q", p)
			}
		}
	})
}

// FuzzChoose: whatever modules.json and an index say, only files of the tree are
// chosen.
func FuzzChoose(f *testing.F) {
	f.Add([]byte(`[{"path":"","type":"a.Transformer"},{"path":"1","type":"a.Pooling"},{"path":"2","type":"a.Dense"}]`), []byte(`{"weight_map":{"a":"x-1.safetensors"}}`))
	f.Add([]byte(`[{"path":"../x"}]`), []byte(`{"weight_map":{"a":"../x.safetensors"}}`))
	f.Fuzz(func(t *testing.T, modules, index []byte) {
		tr := treeOf(map[string]string{
			"config.json": "", "vocab.txt": "", "modules.json": string(modules), "model.safetensors.index.json": string(index), "x-1.safetensors": "",
			"1/config.json": "", "2/config.json": "", "2/pytorch_model.bin": "",
		})
		chosen, err := tr.choose(false)
		for _, p := range chosen {
			if err == nil && !tr.has(p) {
				t.Errorf("chose %q", p)
			}
		}
	})
}
