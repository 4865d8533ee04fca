package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/tensor"
)

func open(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// noise returns n bytes that no codec makes smaller, the same for the same seed.
func noise(seed string, n int) []byte {
	var out []byte
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", seed, i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

var testKey = sign.FromSeed([32]byte{1})

// build makes a small bundle with one tensor per seed.
func build(t testing.TB, name string, seeds ...string) *bundle.Bundle {
	t.Helper()
	b := bundle.NewBuilder()
	for _, seed := range seeds {
		if err := b.AddTensor("block", seed, tensor.I8, []int{100, 1000}, noise(seed, 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.AddBlob(bundle.KindProgram, "program", []byte(name)); err != nil {
		t.Fatal(err)
	}
	out, err := b.Build(context.Background(), bundle.Manifest{
		Product: "p", Name: name, Version: "1", Release: 1, Task: "embed",
		Meta: bundle.Meta{MaxTokensPerText: 8, Hidden: 8}, Memory: bundle.Memory{Weights: 1, Arena: 1, Scratch: 1, MaxTokens: 8, MaxSeqs: 1}, MinRuntime: 1,
	}, testKey)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// put stores all of a bundle, as a device does: envelope, parts, chunks.
func putAll(t testing.TB, s *Store, b *bundle.Bundle) {
	t.Helper()
	err := s.PutEnvelope(b.Digest(), b.Envelope)
	for i, part := range b.Parts {
		err = errors.Join(err, s.PutPart(b.Manifest.IndexParts[i].Digest, part))
	}
	for i := range b.Index {
		err = errors.Join(err, s.PutChunks([]Chunk{chunk(t, b, i)}))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func chunk(t testing.TB, b *bundle.Bundle, i int) Chunk {
	t.Helper()
	encoded, enc, err := b.EncodedChunk(i)
	if err != nil {
		t.Fatal(err)
	}
	decoded := make([]byte, b.Index[i].Length)
	if err := bundle.Decode(b.Index[i], enc, encoded, decoded); err != nil {
		t.Fatal(err)
	}
	return Chunk{b.Index[i].Digest, decoded}
}

func TestBundleComesBack(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	b := build(t, "one", "a", "b")
	trust := sign.NewTrust(testKey.Public(sign.RoleModel))
	if _, err := s.Bundle(b.Digest(), trust); !errors.Is(err, ErrMissing) {
		t.Errorf("a bundle that is not held: %v", err)
	}
	putAll(t, s, b)
	got, err := s.Bundle(b.Digest(), trust)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.VerifyAll(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	stranger := sign.NewTrust(sign.FromSeed([32]byte{2}).Public(sign.RoleModel))
	if _, err := s.Bundle(b.Digest(), stranger); !errors.Is(err, sign.ErrUntrusted) {
		t.Errorf("signature is not verified again: %v", err)
	}
}

// TestReuse: chunks of any bundle serve another; what only a dead bundle refers to goes.
func TestReuseAndCollect(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	one, two := build(t, "one", "a", "b"), build(t, "two", "b", "c")
	putAll(t, s, one)
	missing, err := s.Missing(two.Index)
	if err != nil {
		t.Fatal(err)
	}
	if len(missing) >= len(two.Index) {
		t.Errorf("%d of %d chunks missing: none is reused", len(missing), len(two.Index))
	}
	putAll(t, s, two)
	n, err := s.Collect(t.Context(), []bundle.Digest{two.Digest()})
	if err != nil || n == 0 {
		t.Fatalf("collect: %d values, %v", n, err)
	}
	if _, err := s.Envelope(one.Digest(), nil); !errors.Is(err, ErrMissing) {
		t.Errorf("envelope of the dead bundle: %v", err)
	}
	left, err := s.Missing(two.Index)
	if err != nil || len(left) > 0 {
		t.Errorf("live bundle misses %v, %v", left, err)
	}
	gone, err := s.Missing(one.Index)
	if err != nil || len(gone) == 0 || len(gone) == len(one.Index) {
		t.Errorf("of the dead bundle's chunks %d of %d went, want only its own: %v", len(gone), len(one.Index), err)
	}
	if n, err := s.Collect(t.Context(), []bundle.Digest{two.Digest()}); n != 0 || err != nil {
		t.Errorf("second collect: %d values, %v", n, err)
	}
}

// TestCollectKeepsUnknown: while an index in keep is not held, no chunk goes: it may be that bundle's.
func TestCollectKeepsUnknown(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	one := build(t, "one", "a")
	putAll(t, s, one)
	if _, err := s.Collect(t.Context(), []bundle.Digest{bundle.Sum([]byte("coming"))}); err != nil {
		t.Fatal(err)
	}
	if missing, _ := s.Missing(one.Index); len(missing) > 0 {
		t.Errorf("%d chunks went", len(missing))
	}
}

func TestState(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	if _, err := s.State(); !errors.Is(err, ErrMissing) {
		t.Errorf("new store: %v", err)
	}
	for i := range 3 * journalKept {
		if err := s.SetState(fmt.Appendf(nil, "state %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The newest record rots: the one before it counts.
	flip(t, filepath.Join(dir, fileName), fmt.Appendf(nil, "state %d", 3*journalKept-1))
	s = open(t, Config{Dir: dir})
	got, err := s.State()
	if want := fmt.Sprintf("state %d", 3*journalKept-2); err != nil || string(got) != want {
		t.Errorf("state %q, %v, want %q", got, err, want)
	}
}

// flip changes the last byte of every place in a file that holds text.
func flip(t *testing.T, path string, text []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(data), string(text))
	if len(parts) < 2 {
		t.Fatalf("%q is not in %s", text, path)
	}
	text[len(text)-1] ^= 1
	if err := os.WriteFile(path, []byte(strings.Join(parts, string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	b := build(t, "one", "a", "b")
	putAll(t, s, b)
	if n, err := s.Sweep(b.Digest()); n != 0 || err != nil {
		t.Fatalf("sweep of a whole bundle: %d, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, filepath.Join(dir, fileName), noise("b", 64))
	s = open(t, Config{Dir: dir})
	got, err := s.Bundle(b.Digest(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.VerifyAll(t.Context()); !errors.Is(err, bundle.ErrCorrupt) {
		t.Errorf("rot is not seen: %v", err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, bundle.ErrCorrupt) {
		t.Errorf("check: %v", err)
	}
	if n, err := s.Sweep(b.Digest()); n != 1 || err != nil {
		t.Errorf("sweep: %d, %v", n, err)
	}
	if missing, _ := s.Missing(b.Index); len(missing) != 1 {
		t.Errorf("%d chunks to fetch again, want 1", len(missing))
	}
}

// TestDamage: a file that cannot be used is set aside and told; one that is merely locked or forbidden is not touched.
func TestDamage(t *testing.T) {
	ruin := map[string]func(t *testing.T, path string){
		"garbage": func(t *testing.T, path string) {
			if err := os.WriteFile(path, noise("x", 100_000), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"empty": func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		},
		"cut": func(t *testing.T, path string) {
			if err := os.Truncate(path, 8192); err != nil {
				t.Fatal(err)
			}
		},
		"states rotted": func(t *testing.T, path string) { flip(t, path, []byte("the state")) },
	}
	for name, ruin := range ruin {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, Config{Dir: dir})
			putAll(t, s, build(t, "one", "a"))
			if err := s.SetState([]byte("the state")); err != nil {
				t.Fatal(err)
			}
			s.Close()
			ruin(t, filepath.Join(dir, fileName))
			s = open(t, Config{Dir: dir})
			if s.Damage == "" && name != "empty" {
				t.Error("damage is not told")
			}
			if _, err := s.State(); !errors.Is(err, ErrMissing) {
				t.Errorf("state: %v", err)
			}
			if err := s.SetState([]byte("new")); err != nil {
				t.Error(err)
			}
			s.Close()
			if s = open(t, Config{Dir: dir}); s.Damage != "" {
				t.Errorf("the new file: %s", s.Damage)
			}
		})
	}
}

func TestCondemned(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	if err := s.SetState([]byte("kept")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Condemn(), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Dir: dir})
	if got, err := s.State(); string(got) != "kept" || s.Damage != "" {
		t.Errorf("a sound file was set aside: %q %v %s", got, err, s.Damage)
	}
	if _, err := os.Stat(filepath.Join(dir, suspectName)); err == nil {
		t.Error("the mark stays")
	}
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	open(t, Config{Dir: dir})
	if _, err := Open(Config{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("second open: %v", err)
	}
}

// TestFull: no room is a clean error; what was there stays, and after a collection there is room again.
func TestFull(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), MaxSize: 4 << 20})
	b := build(t, "one", "a", "b")
	putAll(t, s, b)
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		data := noise(fmt.Sprint("filler", i), 100_000)
		err = s.PutChunks([]Chunk{{bundle.Sum(data), data}})
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("filling: %v", err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if n, err := s.Collect(t.Context(), []bundle.Digest{b.Digest()}); n == 0 || err != nil {
		t.Fatalf("collect: %d, %v", n, err)
	}
	putAll(t, s, build(t, "two", "c", "d"))
	got, err := s.Bundle(b.Digest(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.VerifyAll(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFetched(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	one, two := Chunk{bundle.Sum([]byte("1")), []byte("1")}, Chunk{bundle.Sum([]byte("2")), []byte("2")}
	s.Arrived(one.Digest, 100)
	s.Arrived(two.Digest, 10)
	s.Arrived(two.Digest, 10) // again before it was committed
	if err := s.PutChunks([]Chunk{one}); err != nil {
		t.Fatal(err)
	}
	s.Arrived(one.Digest, 100) // although it is held
	if err := s.PutChunks(nil); err != nil {
		t.Fatal(err)
	}
	s.Arrived(bundle.Sum([]byte("3")), 5)
	s.Close() // without a commit, as a kill would
	s = open(t, Config{Dir: dir})
	s.Arrived(bundle.Sum([]byte("3")), 5) // lost, and fetched again
	if err := s.PutChunks(nil); err != nil {
		t.Fatal(err)
	}
	got, err := s.Fetched()
	if d := cmp.Diff(Fetched{Total: 230, Twice: 115}, got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
}
