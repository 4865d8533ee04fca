package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/sign"
	"skiff/formats/tensor"
)

// testKey is the same key for ever: golden files are signed with it.
func testKey() sign.Private { return sign.FromSeed([32]byte{1, 2, 3}) }

func testTrust() *sign.Trust { return sign.NewTrust(testKey().Public(sign.RoleModel)) }

// gaussian returns n int8 codes of a normal distribution.
func gaussian(n int, sigma float64, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, n)
	for i := range out {
		v := math.Round(r.NormFloat64() * sigma)
		out[i] = byte(int8(max(-127, min(127, v))))
	}
	return out
}

// noise returns n bytes that no codec makes shorter.
func noise(n int) []byte {
	out := make([]byte, n)
	rand.NewChaCha8([32]byte{6}).Read(out)
	return out
}

// floats returns n little-endian float32 values.
func floats(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	var out []byte
	for range n {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(r.NormFloat64())))
	}
	return out
}

func testManifest() Manifest {
	return Manifest{
		Product: "default", Channels: []string{"stable", "canary"}, Name: "tiny", Version: "1.0.0", Release: 7, Task: "embed",
		Meta:       Meta{MaxTokensPerText: 128, Hidden: 32, Pooling: "mean", Normalize: true, Prefix: "query: "},
		Goldens:    []Golden{{Texts: []string{"", "naïve café"}, Answer: Sum([]byte("a")), Blocks: []Digest{Sum([]byte("b"))}}},
		Memory:     Memory{Weights: 1 << 20, Arena: 1 << 16, Scratch: 4096, MaxTokens: 512, MaxSeqs: 64},
		MinRuntime: 1,
		Quality:    Quality{Metric: "cosine", Data: Sum([]byte("d")), Count: 100, CosineMean: 0.9991, CosineP1: 0.5, CosineMin: 0.25},
		Lineage:    Lineage{Source: Sum([]byte("s")), Recipe: "fast", Tool: "skiff 0.1.0"},
	}
}

type object struct {
	block, name string
	dtype       tensor.DType
	shape       []int
	data        []byte
}

// testObjects are tensors of every shape that the cutting treats differently.
func testObjects() []object {
	return []object{
		{"embed", "words", tensor.I8, []int{1000, 300}, gaussian(300_000, 20, 1)},
		{"embed", "words.scale", tensor.F32, []int{1000}, floats(1000, 2)},
		{"0", "bias", tensor.F32, []int{32}, floats(32, 3)},
		{"0", "scalar", tensor.F32, nil, floats(1, 4)},
		{"0", "row", tensor.I8, []int{2, 130_000}, gaussian(260_000, 3, 5)},
		{"0", "noise", tensor.U8, []int{150, 150}, noise(22_500)},
		{"0", "zeros", tensor.I8, []int{500, 500}, make([]byte, 250_000)},
		{"1", "bias", tensor.F32, []int{32}, floats(32, 3)},
	}
}

func build(t testing.TB, m Manifest, objects []object) *Bundle {
	t.Helper()
	b := NewBuilder()
	for _, o := range objects {
		name := o.block + "." + o.name
		if err := b.AddTensor(o.block, name, o.dtype, o.shape, o.data); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []Kind{KindTokenizer, KindProgram, KindKernel} {
		text := strings.Repeat(kind.String()+" of a small model, which repeats itself. ", 20)
		if err := b.AddBlob(kind, kind.String(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Build(t.Context(), m, testKey())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tiny is a small bundle: every byte of it can be changed in turn.
func tiny(t testing.TB) *Bundle {
	return build(t, testManifest(), []object{
		{"0", "w", tensor.I8, []int{145, 120}, gaussian(17_400, 1, 1)},
		{"0", "bias", tensor.F32, []int{3}, floats(3, 3)},
	})
}

func bytesOf(t testing.TB, b *Bundle) []byte {
	t.Helper()
	var buf bytes.Buffer
	n, err := b.WriteTo(&buf)
	if err != nil || n != int64(buf.Len()) || n != b.Size() {
		t.Fatalf("write: %d of %d bytes, size %d, %v", n, buf.Len(), b.Size(), err)
	}
	return buf.Bytes()
}

func openBytes(data []byte, trust *sign.Trust) (*Bundle, error) {
	return Open(bytes.NewReader(data), int64(len(data)), trust)
}

func TestRoundTrip(t *testing.T) {
	objects := testObjects()
	built := build(t, testManifest(), objects)
	path := filepath.Join(t.TempDir(), "tiny.skiff")
	if err := built.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	opened, err := OpenFile(path, testTrust())
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if opened.Key != testKey().ID() || opened.Digest() != built.Digest() {
		t.Errorf("key %s, digest %s", opened.Key, opened.Digest())
	}
	if diff := cmp.Diff(built.Manifest, opened.Manifest); diff != "" {
		t.Error(diff)
	}
	for _, b := range []*Bundle{built, opened} {
		if err := b.VerifyAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			found, ok := b.Object(KindTensor, o.block+"."+o.name)
			if !ok || found.DType != o.dtype || !slices.Equal(found.Shape, o.shape) {
				t.Fatalf("object %s: %v, %v", o.name, found, ok)
			}
			got, err := b.Read(t.Context(), found)
			if err != nil || !bytes.Equal(got, o.data) {
				t.Fatalf("object %s differs: %v", o.name, err)
			}
		}
	}
	if got := len(opened.Objects(KindTensor)); got != len(objects) {
		t.Errorf("%d tensors, want %d", got, len(objects))
	}
}

// TestChunks: whole rows where they fit, one codec that pays, small tensors of a block together, equal chunks once.
func TestChunks(t *testing.T) {
	b := build(t, testManifest(), testObjects())
	var got []string
	for _, o := range b.Objects(KindTensor) {
		line := o.Name
		for _, x := range o.Extents {
			c := b.Index[x.Chunk]
			line += fmt.Sprintf(" %d:%d+%d/%d %s", x.Chunk, x.Offset, x.Length, c.Length, c.Encodings[0].Codec)
		}
		got = append(got, line)
	}
	want := []string{
		"embed.words 0:0+122700/122700 huff0 1:0+122700/122700 huff0 2:0+54600/54600 huff0",
		"embed.words.scale 3:0+4000/4000 zstd",
		"0.bias 4:0+128/132 raw",
		"0.scalar 4:128+4/132 raw",
		"0.row 5:0+122880/122880 huff0 6:0+122880/122880 huff0 7:0+14240/14240 huff0",
		"0.noise 8:0+22500/22500 raw",
		"0.zeros 9:0+122500/122500 zstd 9:0+122500/122500 zstd 10:0+5000/5000 zstd",
		"1.bias 11:0+128/128 raw",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReproducible(t *testing.T) {
	first := bytesOf(t, build(t, testManifest(), testObjects()))
	for range 2 {
		if !bytes.Equal(first, bytesOf(t, build(t, testManifest(), testObjects()))) {
			t.Fatal("the same input gave other bytes")
		}
	}
}

// TestUnchangedTensor: a changed tensor leaves the chunks of all others as they were.
func TestUnchangedTensor(t *testing.T) {
	objects := testObjects()
	before := build(t, testManifest(), objects)
	objects[0].data = gaussian(300_000, 20, 99)
	after := build(t, testManifest(), objects)
	names := map[Digest]bool{}
	for _, c := range before.Index {
		names[c.Digest] = true
	}
	fresh := 0
	for _, c := range after.Index {
		if !names[c.Digest] {
			fresh++
		}
	}
	if fresh != 3 {
		t.Errorf("%d chunks are new, want 3", fresh)
	}
}

// TestEveryByte: whichever byte is changed, at whatever length the file ends or goes on, opening or verifying fails.
func TestEveryByte(t *testing.T) {
	data := bytesOf(t, tiny(t))
	verify := func(data []byte) error {
		b, err := openBytes(data, testTrust())
		if err == nil {
			err = b.VerifyAll(context.Background())
		}
		return err
	}
	if err := verify(data); err != nil {
		t.Fatal(err)
	}
	flips := []byte{1, 0x80, 0x55}
	if testing.Short() {
		flips = flips[:1]
	}
	for i := range data {
		for _, flip := range flips {
			data[i] ^= flip
			if verify(data) == nil {
				t.Fatalf("byte %d changed by %02x: not noticed", i, flip)
			}
			data[i] ^= flip
		}
		if verify(data[:i]) == nil {
			t.Fatalf("%d of %d bytes: not noticed", i, len(data))
		}
	}
	for _, more := range [][]byte{{0}, {1, 2, 3}, data} {
		if verify(slices.Concat(data, more)) == nil {
			t.Fatalf("%d bytes more: not noticed", len(more))
		}
	}
}

// TestDevice goes the way of a device: envelope, index parts, encoded chunks one by one.
func TestDevice(t *testing.T) {
	server := build(t, testManifest(), testObjects())
	b, err := ParseEnvelope(server.Envelope, testTrust())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(t.Context(), b.Manifest.Objects[0]); !errors.Is(err, ErrUnsupported) {
		t.Errorf("read without an index: %v", err)
	}
	if b, err = b.WithIndex(server.Parts); err != nil {
		t.Fatal(err)
	}
	store := decodedStore{}
	var dec Decoder
	for i, c := range b.Index {
		data, enc, err := server.EncodedChunk(i)
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, c.Length)
		if err := dec.Decode(c, enc, data, dst); err != nil {
			t.Fatal(err)
		}
		store = append(store, dst)
		data = slices.Clone(data)
		data[len(data)/2] ^= 1
		if err := Decode(c, enc, data, dst); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("changed chunk %d: %v", i, err)
		}
	}
	b = b.WithSource(store)
	if err := b.VerifyAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.EncodedChunk(0); !errors.Is(err, ErrUnsupported) {
		t.Errorf("encoded chunk of decoded ones: %v", err)
	}
	store[3][7] ^= 1
	words, _ := b.Object(KindTensor, "embed.words.scale")
	if _, err := b.Read(t.Context(), words); !errors.Is(err, ErrCorrupt) {
		t.Errorf("chunk changed in the store: %v", err)
	}
}

type decodedStore [][]byte

func (s decodedStore) Chunk(_ context.Context, i int, dst []byte) error {
	copy(dst, s[i])
	return nil
}

// TestEncodedSource: a server writes the file again from its parts.
func TestEncodedSource(t *testing.T) {
	built := build(t, testManifest(), testObjects())
	b, err := ParseEnvelope(built.Envelope, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = b.WithIndex(built.Parts); err != nil {
		t.Fatal(err)
	}
	b = b.WithEncoded(func(_ context.Context, i int, buf []byte) ([]byte, error) {
		data, _, err := built.EncodedChunk(i)
		return append(buf, data...), err
	})
	if !bytes.Equal(bytesOf(t, b), bytesOf(t, built)) {
		t.Error("written again, the file differs")
	}
}

// TestLentDataIsChecked: who scribbles on lent data harms nobody after him.
func TestLentDataIsChecked(t *testing.T) {
	objects := testObjects()
	b := build(t, testManifest(), objects)
	o := b.Objects(KindTensor)[2]
	for range 3 {
		err := b.Each(t.Context(), o, func(_ int, data []byte) error {
			if !bytes.Equal(data, objects[2].data) {
				t.Fatal("data differs")
			}
			clear(data)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTrust(t *testing.T) {
	data := bytesOf(t, tiny(t))
	other := sign.FromSeed([32]byte{9})
	tests := []struct {
		name  string
		trust *sign.Trust
		want  error
	}{
		{"nobody asked", nil, nil},
		{"nobody trusted", sign.NewTrust(), sign.ErrUntrusted},
		{"another", sign.NewTrust(other.Public(sign.RoleModel)), sign.ErrUntrusted},
		{"wrong role", sign.NewTrust(testKey().Public(sign.RoleFleet)), sign.ErrUntrusted},
		{"the key", testTrust(), nil},
		{"the key among others", testTrust().With(other.Public(sign.RoleModel)), nil},
	}
	for _, tt := range tests {
		b, err := openBytes(data, tt.trust)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if err == nil && (b.Key == testKey().ID()) != (tt.trust != nil) {
			t.Errorf("%s: key %s", tt.name, b.Key)
		}
	}
}

func TestWriteFileFailure(t *testing.T) {
	b := tiny(t)
	broken := errors.New("broken")
	bad := b.WithEncoded(func(_ context.Context, i int, _ []byte) ([]byte, error) {
		if i > 0 {
			return nil, broken
		}
		data, _, err := b.EncodedChunk(i)
		return data, err
	})
	dir := t.TempDir()
	if err := bad.WriteFile(filepath.Join(dir, "x.skiff")); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := OpenFile(filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := OpenFile(dir, nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("folder: %v", err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := NewBuilder()
	if err := b.AddBlob(KindProgram, "p", []byte("p")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Build(ctx, testManifest(), testKey()); !errors.Is(err, context.Canceled) {
		t.Errorf("build: %v", err)
	}
	if err := tiny(t).VerifyAll(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("verify: %v", err)
	}
}

// TestReadAllocates: reading chunk after chunk takes no memory beyond the buffers of the reader.
func TestReadAllocates(t *testing.T) {
	b := build(t, testManifest(), testObjects())
	r := &reader{chunk: -1}
	read := func() {
		for i := range b.Index {
			if _, err := r.read(context.Background(), b, i); err != nil {
				t.Fatal(err)
			}
		}
	}
	read()
	if n := testing.AllocsPerRun(20, read); n > float64(len(b.Index)) {
		t.Errorf("%v allocations for %d chunks", n, len(b.Index))
	}
}

// TestConcurrent: one bundle, many readers.
func TestConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.skiff")
	objects := testObjects()
	if err := build(t, testManifest(), objects).WriteFile(path); err != nil {
		t.Fatal(err)
	}
	b, err := OpenFile(path, testTrust())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for i, o := range b.Objects(KindTensor) {
				got, err := b.Read(context.Background(), o)
				if err != nil || !bytes.Equal(got, objects[i].data) {
					t.Errorf("object %s differs: %v", o.Name, err)
				}
			}
		})
	}
	readers.Wait()
}
