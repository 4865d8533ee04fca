package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"skiff/formats/safetensors"
	"skiff/formats/torch"
)

// wideConfig is a DistilBERT of about 19 MB.
const wideConfig = `{
  "architectures": ["DistilBertModel"], "model_type": "distilbert", "vocab_size": 11, "dim": 256, "n_layers": 6,
  "n_heads": 4, "hidden_dim": 1024, "max_position_embeddings": 16, "activation": "gelu"
}`

// wideWeights are the tensors of wideConfig.
func wideWeights() map[string]weight {
	w := map[string]weight{
		"embeddings.word_embeddings.weight": values(1, 11, 256), "embeddings.position_embeddings.weight": values(2, 16, 256),
		"embeddings.LayerNorm.weight": values(3, 256), "embeddings.LayerNorm.bias": values(4, 256),
	}
	linear := func(name string, out, in int) {
		w[name+".weight"], w[name+".bias"] = values(5, out, in), values(6, out)
	}
	for i := range 6 {
		at := fmt.Sprintf("transformer.layer.%d.", i)
		for _, name := range []string{"attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"} {
			linear(at+name, 256, 256)
		}
		linear(at+"ffn.lin1", 1024, 256)
		linear(at+"ffn.lin2", 256, 1024)
		for _, name := range []string{"sa_layer_norm", "output_layer_norm"} {
			w[at+name+".weight"], w[at+name+".bias"] = values(7, 256), values(8, 256)
		}
	}
	return w
}

// halved are tensors with every number as the 16 upper bits of its float32.
func halved(tensors map[string]weight) map[string]weight {
	out := make(map[string]weight)
	for name, w := range tensors {
		var data []byte
		for i := 2; i < len(w.data); i += 4 {
			data = append(data, w.data[i], w.data[i+1])
		}
		out[name] = weight{"BF16", w.shape, string(data)}
	}
	return out
}

// saved is a file of torch.save.
func saved(t *testing.T, tensors map[string]weight, style pickleStyle) []byte {
	t.Helper()
	pickle, storages := pickled(tensors, style)
	return zipped(t, pickle, storages)
}

// sharded splits tensors over two files, which write makes, called model-N and suffix.
func sharded(t *testing.T, tensors map[string]weight, index, suffix string, write func(map[string]weight) []byte) map[string][]byte {
	t.Helper()
	shards, places := [2]map[string]weight{{}, {}}, map[string]string{}
	for i, name := range slices.Sorted(maps.Keys(tensors)) {
		shards[i%2][name], places[name] = tensors[name], fmt.Sprintf("model-%d%s", i%2, suffix)
	}
	text, err := json.Marshal(map[string]any{"weight_map": places})
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{index: text, "model-0" + suffix: write(shards[0]), "model-1" + suffix: write(shards[1])}
}

// TestMemoryOfImport: importing a model takes less than one and a half times its size in
// float32, both of what is allocated and, where the system tells, of resident memory, in
// which mapped files count. The result is the same from every kind of file.
func TestMemoryOfImport(t *testing.T) {
	w, size := wideWeights(), 0
	for _, one := range w {
		size += len(one.data)
	}
	var first float32
	for _, c := range []struct {
		name  string
		files map[string][]byte
	}{
		{"safetensors", map[string][]byte{safetensors.SingleName: store(w)}},
		{"safetensors in 16 bits", map[string][]byte{safetensors.SingleName: store(halved(w))}},
		{"safetensors in shards", sharded(t, w, safetensors.IndexName, ".safetensors", store)},
		{"PyTorch", map[string][]byte{torch.SingleName: saved(t, w, pickleStyle{})}},
		{"PyTorch by columns", map[string][]byte{torch.SingleName: saved(t, w, pickleStyle{columns: true})}},
		{"PyTorch, legacy", map[string][]byte{torch.SingleName: streamed(w)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.files[configName], c.files[tokenizerName] = []byte(wideConfig), []byte(smallTokenizer)
			for name, data := range c.files {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			measureImport(t, dir, size)
			m := openModel(t, dir)
			states, err := m.Reference().Hidden([]int32{2, 4, 3}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := states[m.Layers][0]
			if first == 0 {
				first = got
			}
			if got != first && !strings.Contains(c.name, "16") {
				t.Errorf("the first number is %v, %v from another file", got, first)
			}
		})
	}
}

// measureImport opens the model in dir, whose weights have size bytes in float32.
func measureImport(t *testing.T, dir string, size int) {
	t.Helper()
	debug.FreeOSMemory()
	resident := peakAbove(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := Open(context.Background(), dir)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	allocated, peak := int(after.TotalAlloc-before.TotalAlloc), resident()
	t.Logf("%d bytes of weights: %.2f times that allocated, %.2f resident", size, float64(allocated)/float64(size), float64(peak)/float64(size))
	if limit := size + size/2; allocated > limit || peak > limit {
		t.Errorf("%d bytes of weights: %d allocated, %d resident", size, allocated, peak)
	}
	runtime.KeepAlive(m)
}

// peakAbove starts to measure resident memory; the function it returns tells by how much
// it rose at most. Where the system does not tell, and where the race detector's own
// memory counts, that is nothing.
func peakAbove(t *testing.T) func() int {
	t.Helper()
	if raceEnabled || os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) != nil {
		t.Log("SKIPPED LOUDLY: resident memory cannot be measured here")
		return func() int { return 0 }
	}
	start := statusOf(t, "VmRSS")
	return func() int { return statusOf(t, "VmHWM") - start }
}

// statusOf is a size in /proc/self/status, in bytes.
func statusOf(t *testing.T, key string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), key+":")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
