package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"github.com/google/go-cmp/cmp"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"skiff/formats/sign"
	"skiff/formats/tensor"
)

// TestManifestLimits: what is over a limit or makes no sense is neither written nor read.
func TestManifestLimits(t *testing.T) {
	good := tiny(t).Manifest
	tests := []struct {
		name   string
		change func(m *Manifest)
		want   error
	}{
		{"product", func(m *Manifest) { m.Product = "a/b" }, ErrCorrupt},
		{"no product", func(m *Manifest) { m.Product = "" }, ErrLimit},
		{"channels", func(m *Manifest) { m.Channels = make([]string, MaxChannels+1) }, ErrLimit},
		{"channel", func(m *Manifest) { m.Channels = []string{"+"} }, ErrCorrupt},
		{"name", func(m *Manifest) { m.Name = "../up" }, ErrCorrupt},
		{"dots", func(m *Manifest) { m.Name = ".." }, ErrCorrupt},
		{"long name", func(m *Manifest) { m.Name = strings.Repeat("x", MaxName+1) }, ErrLimit},
		{"version", func(m *Manifest) { m.Version = "1\x1b[2J" }, ErrCorrupt},
		{"task", func(m *Manifest) { m.Task = "" }, ErrLimit},
		{"tokens", func(m *Manifest) { m.Meta.MaxTokensPerText = 0 }, ErrLimit},
		{"hidden", func(m *Manifest) { m.Meta.Hidden = -1 }, ErrLimit},
		{"labels", func(m *Manifest) { m.Meta.Labels = make([]string, MaxLabels+1) }, ErrLimit},
		{"prefix", func(m *Manifest) { m.Meta.Prefix = "\xff" }, ErrCorrupt},
		{"prompts", func(m *Manifest) { m.Meta.Prompts = make([]Prompt, MaxPrompts+1) }, ErrLimit},
		{"prompt without a name", func(m *Manifest) { m.Meta.Prompts = []Prompt{{"", "x"}} }, ErrLimit},
		{"prompt", func(m *Manifest) { m.Meta.Prompts = []Prompt{{"a", "\xff"}} }, ErrCorrupt},
		{"prompts out of order", func(m *Manifest) { m.Meta.Prompts = []Prompt{{"b", ""}, {"a", ""}} }, ErrCorrupt},
		{"prompt twice", func(m *Manifest) { m.Meta.Prompts = []Prompt{{"a", ""}, {"a", ""}} }, ErrCorrupt},
		{"thresholds", func(m *Manifest) { m.Meta.Labels, m.Meta.Thresholds = make([]string, 3), make([]float64, 2) }, ErrCorrupt},
		{"threshold", func(m *Manifest) { m.Meta.Thresholds = []float64{1.5} }, ErrCorrupt},
		{"no threshold", func(m *Manifest) { m.Meta.Thresholds = []float64{math.NaN()} }, ErrCorrupt},
		{"goldens", func(m *Manifest) { m.Goldens = make([]Golden, MaxGoldens+1) }, ErrLimit},
		{"batch", func(m *Manifest) { m.Goldens = []Golden{{}} }, ErrLimit},
		{"memory", func(m *Manifest) { m.Memory.Arena = 1 << 60 }, ErrLimit},
		{"no objects", func(m *Manifest) { m.Objects = nil }, ErrLimit},
		{"twice", func(m *Manifest) { m.Objects = append(m.Objects, m.Objects[0]) }, ErrCorrupt},
		{"no kind", func(m *Manifest) { m.Objects[0].Kind = 0 }, ErrCorrupt},
		{"dtype", func(m *Manifest) { m.Objects[0].DType = 200 }, ErrUnsupported},
		{"shape", func(m *Manifest) { m.Objects[0].Shape = []int{1, 2} }, ErrCorrupt},
		{"negative shape", func(m *Manifest) { m.Objects[0].Shape = []int{-145, -120} }, ErrCorrupt},
		{"huge shape", func(m *Manifest) { m.Objects[0].Shape = slices.Repeat([]int{1<<31 - 1}, 3) }, ErrCorrupt},
		{"dimensions", func(m *Manifest) { m.Objects[0].Shape = slices.Repeat([]int{1}, MaxShape+1) }, ErrCorrupt},
		{"shape of a blob", func(m *Manifest) { m.Objects[2].Shape = []int{1} }, ErrCorrupt},
		{"length", func(m *Manifest) { m.Objects[2].Length++ }, ErrCorrupt},
		{"extent", func(m *Manifest) { m.Objects[0].Extents = []Extent{{Length: MaxChunk + 1}} }, ErrLimit},
		{"empty extent", func(m *Manifest) { m.Objects[2].Extents = append(m.Objects[2].Extents, Extent{}) }, ErrLimit},
		{"chunk", func(m *Manifest) { m.Objects[2].Extents[0].Chunk = MaxChunks }, ErrLimit},
		{"parts", func(m *Manifest) { m.IndexParts = make([]Part, MaxParts+1) }, ErrLimit},
		{"part", func(m *Manifest) { m.IndexParts[0].Length = MaxPart + 1 }, ErrLimit},
	}
	for _, tt := range tests {
		m := good
		m.IndexParts = slices.Clone(good.IndexParts)
		m.Objects = slices.Clone(good.Objects)
		for i := range m.Objects {
			m.Objects[i].Extents = slices.Clone(m.Objects[i].Extents)
		}
		tt.change(&m)
		if _, err := encodeManifest(m); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestManifestKeys: an unknown odd key is refused by number, an unknown even one ignored, in the manifest and inside it.
// TestMeta: what a model may have is written and read; what it has not leaves no byte.
func TestMeta(t *testing.T) {
	m := tiny(t).Manifest
	before, err := encodeManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	m.Meta.Prompts = []Prompt{{"document", ""}, {"query", "query: "}}
	m.Meta.Labels, m.Meta.Thresholds, m.Meta.SkipPrompt = []string{"a", "b"}, []float64{0.4, 0}, true
	data, err := encodeManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseManifest(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m.Meta, got.Meta); diff != "" {
		t.Error(diff)
	}
	m.Meta.Prompts, m.Meta.Labels, m.Meta.Thresholds, m.Meta.SkipPrompt = nil, nil, nil, false
	if after, err := encodeManifest(m); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a manifest without them has other bytes, %v", err)
	}
}

func TestManifestKeys(t *testing.T) {
	b := tiny(t)
	outer := func(key byte) []byte { // one more pair at the end of the map
		data := bytes.Clone(b.ManifestBytes)
		data[0]++
		return append(data, 0x18, key, 0)
	}
	inner := func(key byte) []byte { // one more pair at the end of memory, which ends in "max sequences"
		end := []byte{7, 0x19, 2, 0, 9, 0x18, 64}
		data := bytes.Replace(b.ManifestBytes, end, append(end, key, 0), 1)
		return bytes.Replace(data, []byte{0x15, 0xa5, 1}, []byte{0x15, 0xa6, 1}, 1)
	}
	for _, tt := range []struct {
		name string
		data []byte
		want error
		in   string
	}{
		{"even", outer(98), nil, ""},
		{"odd", outer(99), ErrUnsupported, "key 99"},
		{"even inside", inner(10), nil, ""},
		{"odd inside", inner(11), ErrUnsupported, "Memory"},
		{"cut", b.ManifestBytes[:100], ErrCorrupt, "data ends"},
	} {
		m, err := parseManifest(tt.data)
		if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.in) {
			t.Errorf("%s: got %v, want %v with %q", tt.name, err, tt.want, tt.in)
		}
		if err == nil && m.Name != "tiny" {
			t.Errorf("%s: %+v", tt.name, m)
		}
	}
}

// signed returns an envelope of a manifest in which the index is the given part.
func signed(t *testing.T, m Manifest, part []byte) *Bundle {
	t.Helper()
	m.IndexParts = []Part{{Digest: Sum(part), Length: uint32(len(part))}}
	data, err := encodeManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseEnvelope(appendEnvelope([]sign.Signature{testKey().Sign(sign.TypeManifest, data)}, data), testTrust())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestIndexFaults: an index is refused for what is wrong in it even when it is signed.
func TestIndexFaults(t *testing.T) {
	good := tiny(t)
	change := func(at int, value byte) []byte {
		p := bytes.Clone(good.Parts[0])
		p[at] = value
		return p
	}
	first := good.Index[0]
	raw := first
	raw.Encodings = []Encoding{{Codec: CodecRaw, Length: 5, Digest: first.Digest}}
	delta := first
	delta.Encodings = []Encoding{{Codec: CodecFSEDelta, Base: Sum(nil), Length: 5, Digest: Sum(nil)}}
	later := slices.Clone(good.Index)
	later[0].Encodings = append(slices.Clone(first.Encodings), delta.Encodings[0], Encoding{Codec: 77, Length: 5, Digest: Sum(nil)})
	entries := func(chunks ...Chunk) (out []byte) {
		for _, c := range chunks {
			out = appendEntry(out, c)
		}
		return out
	}
	for _, tt := range []struct {
		name string
		part []byte
		want error
	}{
		{"good", good.Parts[0], nil},
		{"later encodings are not for us", entries(later...), nil},
		{"no length", slices.Concat(good.Parts[0][:32], make([]byte, 4), good.Parts[0][36:]), ErrLimit},
		{"length", change(34, 0xff), ErrLimit},
		{"no encoding", change(36, 0), ErrLimit},
		{"encodings", change(36, 200), ErrLimit},
		{"codec", change(37, 9), ErrUnsupported},
		{"base", change(38, 2), ErrCorrupt},
		{"cut", good.Parts[0][:len(good.Parts[0])-1], ErrCorrupt},
		{"raw of another length", entries(append([]Chunk{raw}, good.Index[1:]...)...), ErrCorrupt},
		{"only a delta", entries(append([]Chunk{delta}, good.Index[1:]...)...), ErrUnsupported},
		{"twice", entries(append(slices.Clone(good.Index), first)...), ErrCorrupt},
		{"too few", entries(good.Index[1:]...), ErrCorrupt},
		{"one more", entries(append(slices.Clone(good.Index), Chunk{Sum(nil), 1, first.Encodings})...), ErrCorrupt},
	} {
		b := signed(t, good.Manifest, tt.part)
		if _, err := b.WithIndex([][]byte{tt.part}); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if _, err := b.WithIndex([][]byte{append(bytes.Clone(tt.part), 0)}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s, not the one in the manifest: %v", tt.name, err)
		}
	}
	if _, err := good.WithIndex(nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("no parts: %v", err)
	}
}

func TestBuilderRefuses(t *testing.T) {
	b := NewBuilder()
	for name, err := range map[string]error{
		"short":  b.AddTensor("b", "t", tensor.F32, []int{3}, make([]byte, 11)),
		"empty":  b.AddTensor("b", "t", tensor.F32, []int{0}, nil),
		"dtype":  b.AddTensor("b", "t", 0, []int{1}, []byte{1}),
		"blob":   b.AddBlob(KindProgram, "p", nil),
		"tensor": b.AddBlob(KindTensor, "t", []byte{1}),
	} {
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Build(t.Context(), testManifest(), testKey()); !errors.Is(err, ErrLimit) {
		t.Errorf("nothing added: %v", err)
	}
	if _, err := b.Build(t.Context(), testManifest(), sign.Private{}); !errors.Is(err, sign.ErrKey) {
		t.Errorf("no key: %v", err)
	}
}

// TestManyParts: an index of more than one part, and what a device does with it.
func TestManyParts(t *testing.T) {
	b := NewBuilder()
	const chunks = 2000
	for i := range chunks {
		data := binary.LittleEndian.AppendUint32(nil, uint32(i))
		if err := b.AddBlob(KindGolden, fmt.Sprint(i), data); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Build(t.Context(), testManifest(), testKey())
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Index) != chunks || len(out.Parts) != 2 || len(out.Parts[0]) > MaxPart {
		t.Errorf("%d chunks in %d parts", len(out.Index), len(out.Parts))
	}
	if _, err := openBytes(bytesOf(t, out), testTrust()); err != nil {
		t.Error(err)
	}
	swapped := [][]byte{out.Parts[1], out.Parts[0]}
	if _, err := out.WithIndex(swapped); !errors.Is(err, ErrCorrupt) {
		t.Errorf("parts swapped: %v", err)
	}
}

// TestAllocationIsBounded: what announces much and brings little gets little.
func TestAllocationIsBounded(t *testing.T) {
	header := func(manifest uint32) []byte {
		return binary.LittleEndian.AppendUint32([]byte(magic+"\x01\x00\x01\x00"), manifest)
	}
	hostile := map[string][]byte{
		"manifest length": header(MaxManifest),
		"list of strings": append(header(400_000+112), append([]byte{0xa1, 3, 0x9a, 0, 6, 0, 0}, bytes.Repeat([]byte{0x60}, 400_000)...)...),
		"list of objects": append(header(400_000), append([]byte{0xa1, 17, 0x9a, 0, 6, 0, 0}, bytes.Repeat([]byte{0xa0}, 400_000)...)...),
	}
	for name, data := range hostile {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := openBytes(data, nil); err == nil {
			t.Errorf("%s: opened", name)
		}
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(4*len(data)+64<<10); got > most {
			t.Errorf("%s: %d bytes allocated for %d", name, got, len(data))
		}
	}
}
