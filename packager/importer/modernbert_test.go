package importer

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/packager/graph"
)

// TestLayerTypes: the attention of each layer as version 5 of transformers writes it down
// means what the older keys mean, which it need not follow.
func TestLayerTypes(t *testing.T) {
	open := func(keys map[string]any) (*graph.Model, error) {
		c := headCase{from: "modernbert-embed", class: "ModernBertModel", keys: keys}
		return OpenFS(t.Context(), c.folder(t), "m")
	}
	run := func(keys map[string]any) []float32 {
		m, err := open(keys)
		if err != nil {
			t.Fatal(err)
		}
		out, err := m.Reference().Run([]int32{5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, nil, nil, m.Last)
		if err != nil {
			t.Fatal(err)
		}
		return out[0]
	}
	ropes := func(full, local float64) map[string]any {
		return map[string]any{
			fullAttention:  map[string]any{"rope_type": "default", "rope_theta": full},
			localAttention: map[string]any{"rope_type": "default", "rope_theta": local},
		}
	}
	m, err := open(nil)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make([]string, m.Layers)
	for i := range kinds {
		kinds[i] = localAttention
		if i%2 == 0 {
			kinds[i] = fullAttention
		}
	}
	old := map[string]any{"global_attn_every_n_layers": 2, "global_rope_theta": 500.0, "local_rope_theta": 50.0, "local_attention": 4}
	want := run(old)
	if diff := cmp.Diff(want, run(map[string]any{"layer_types": kinds, "rope_parameters": ropes(500, 50), "local_attention": 4})); diff != "" {
		t.Errorf("(-old keys +new keys)\n%s", diff)
	}
	for i, keys := range []map[string]any{
		{"layer_types": kinds, "rope_parameters": ropes(50, 500), "local_attention": 4},
		{"layer_types": append(kinds[1:len(kinds):len(kinds)], localAttention), "rope_parameters": ropes(500, 50), "local_attention": 4},
	} {
		if cmp.Equal(want, run(keys)) {
			t.Errorf("case %d: other keys, the same result", i)
		}
	}
	for text, keys := range map[string]map[string]any{
		"0 of them for": {"layer_types": []string{}},
		"9 of them for": {"layer_types": slices.Repeat([]string{fullAttention}, 9)},
		"2 of them for": {"layer_types": []string{fullAttention, localAttention}}, `unknown kind "linear"`: {"layer_types": []string{"linear"}},
		`unknown value "yarn"`: {"rope_parameters": map[string]any{fullAttention: map[string]any{"rope_type": "yarn"}}},
		"factor":               {"rope_parameters": map[string]any{fullAttention: map[string]any{"factor": 2}}},
		"chunked":              {"rope_parameters": map[string]any{"chunked": map[string]any{}}},
		"rope_theta":           {"rope_parameters": map[string]any{fullAttention: map[string]any{"rope_theta": 0}}},
	} {
		if _, err := open(keys); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v: got %v, want %s", keys, err, text)
		}
	}
}
