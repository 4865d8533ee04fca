package probe

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/packager"
	"skiff/packager/builtin"
	"skiff/packager/importer"
	"skiff/runtime/infer"
)

func pack(t *testing.T) *bundle.Bundle {
	t.Helper()
	files, err := builtin.Model()
	if err != nil {
		t.Fatal(err)
	}
	m, err := importer.OpenFS(t.Context(), files, builtin.Name)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := packager.Pack(t.Context(), m, packager.Config{Key: sign.FromSeed([32]byte{1}), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLoad: a bundle that gives its golden bits loads and says what the proof holds for; one that does not is refused after every engine
// was tried; an earlier proof that holds is not repeated, one of another machine is.
func TestLoad(t *testing.T) {
	b := pack(t)
	kernels := "auto"
	if testing.Short() {
		kernels = "wasm" // the slower engines take their time
	}
	m, err := Load(t.Context(), b, Config{Kernels: kernels})
	if err != nil {
		t.Fatal(err)
	}
	info := m.Info()
	if info.Digest != b.Digest().String() || info.Dim != m.Dim() || info.Kernels != m.Kernels() {
		t.Errorf("info %+v", info)
	}
	proved := m.Binding
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	wrong := *b
	wrong.Manifest.Goldens = append([]bundle.Golden(nil), b.Manifest.Goldens...)
	wrong.Manifest.Goldens[0].Answer[0] ^= 1
	if _, err := Load(t.Context(), &wrong, Config{Kernels: kernels}); !errors.Is(err, infer.ErrMismatch) {
		t.Errorf("another golden answer: %v", err)
	}
	if m, err = Load(t.Context(), &wrong, Config{Kernels: kernels, Proved: proved}); err != nil {
		t.Fatalf("the proof is repeated although it holds: %v", err)
	}
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	elsewhere := bytes.Clone(proved)
	elsewhere[0] ^= 1
	if _, err := Load(t.Context(), &wrong, Config{Kernels: kernels, Proved: elsewhere}); !errors.Is(err, infer.ErrMismatch) {
		t.Errorf("a proof of another machine is believed: %v", err)
	}
}

func TestBinding(t *testing.T) {
	d := bundle.Sum([]byte("b"))
	base := Binding(d, "wasm")
	if !bytes.Equal(base, Binding(d, "wasm")) {
		t.Error("the same binding differs")
	}
	for name, other := range map[string][]byte{
		"kernels": Binding(d, "go"), "kernels that are off": Binding(d, "wasm", "avx2: linear"), "bundle": Binding(bundle.Sum([]byte("c")), "wasm"),
	} {
		if bytes.Equal(base, other) {
			t.Errorf("another %s has the same binding", name)
		}
	}
	if first, again := Build(), Build(); first == "" || first != again || CPU() == "" {
		t.Errorf("build %q, CPU %q", Build(), CPU())
	}
}
