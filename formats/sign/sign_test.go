package sign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func testKey(n byte) Private { return FromSeed([32]byte{n}) }

// TestPAE holds the encoding against the example of the DSSE protocol page.
func TestPAE(t *testing.T) {
	got := PAE("http://example.com/HelloWorld", []byte("hello world"))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := PAE("", nil); string(got) != "DSSEv1 0  0 " {
		t.Errorf("empty: %q", got)
	}
}

// TestFrozen: the same key and payload give these bytes for ever.
func TestFrozen(t *testing.T) {
	got := hex.EncodeToString(Seal(testKey(1), TypeTime, []byte("payload")))
	path := filepath.Join("testdata", "sealed-v1.hex")
	frozen, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.TrimSpace(string(frozen)) {
		t.Errorf("sealed %s", got)
	}
}

func TestSealOpen(t *testing.T) {
	key, payload := testKey(1), []byte("payload")
	sealed := Seal(key, TypeDesired, payload)
	trust := NewTrust(key.Public(RoleFleet), testKey(2).Public(RoleModel))
	got, id, err := Open(trust, RoleFleet, TypeDesired, sealed, 100)
	if err != nil || !bytes.Equal(got, payload) || id != key.ID() {
		t.Fatalf("%q, %s, %v", got, id, err)
	}
	tests := []struct {
		name     string
		trust    *Trust
		role     Role
		typ      string
		envelope []byte
		max      int
		want     error
	}{
		{"other type", trust, RoleFleet, TypeTime, sealed, 100, ErrSignature},
		{"other role", trust, RoleModel, TypeDesired, sealed, 100, ErrUntrusted},
		{"stranger", NewTrust(testKey(3).Public(RoleFleet)), RoleFleet, TypeDesired, sealed, 100, ErrUntrusted},
		{"nobody", nil, RoleFleet, TypeDesired, sealed, 100, ErrUntrusted},
		{"too long", trust, RoleFleet, TypeDesired, sealed, 6, ErrEnvelope},
		{"empty", trust, RoleFleet, TypeDesired, nil, 100, ErrEnvelope},
		{"no payload", trust, RoleFleet, TypeDesired, sealed[:len(sealed)-len(payload)], 100, ErrEnvelope},
		{"no signature", trust, RoleFleet, TypeDesired, slices.Concat(sealed[:5], []byte{0}, payload), 100, ErrEnvelope},
		{"nine", trust, RoleFleet, TypeDesired, slices.Concat(sealed[:5], []byte{9}, make([]byte, 1000)), 1000, ErrEnvelope},
	}
	for _, tt := range tests {
		if _, _, err := Open(tt.trust, tt.role, tt.typ, tt.envelope, tt.max); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	for i := range sealed {
		for bit := range 8 {
			sealed[i] ^= 1 << bit
			if _, _, err := Open(trust, RoleFleet, TypeDesired, sealed, 100); err == nil {
				t.Fatalf("bit %d of byte %d changed: not noticed", bit, i)
			}
			sealed[i] ^= 1 << bit
		}
		if _, _, err := Open(trust, RoleFleet, TypeDesired, sealed[:i], 100); err == nil {
			t.Fatalf("cut to %d bytes: not noticed", i)
		}
	}
}

// TestSeveral: one good signature by a trusted key is enough, one bad one by a trusted key is too much.
func TestSeveral(t *testing.T) {
	payload := []byte("payload")
	a, b := testKey(1), testKey(2)
	sa, sb := a.Sign(TypeManifest, payload), b.Sign(TypeManifest, payload)
	broken := sb
	broken.Sig[3] ^= 1
	onlyA := NewTrust(a.Public(RoleModel))
	both := onlyA.With(b.Public(RoleModel))
	for _, tt := range []struct {
		name  string
		trust *Trust
		sigs  []Signature
		want  error
	}{
		{"both", both, []Signature{sa, sb}, nil},
		{"one of them", onlyA, []Signature{sb, sa}, nil},
		{"a stranger's is broken", onlyA, []Signature{sa, broken}, nil},
		{"a trusted one is broken", both, []Signature{sa, broken}, ErrSignature},
		{"none", both, nil, ErrUntrusted},
		{"many", both, slices.Repeat([]Signature{sa}, 9), ErrEnvelope},
	} {
		if _, err := tt.trust.Verify(RoleModel, TypeManifest, payload, tt.sigs); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	data := sb.Append(sa.Append(nil))
	_, first := ParseSignatures(data, 2)
	_, second := ParseSignatures(sa.Append(sb.Append(nil)), 2)
	if (first == nil) == (second == nil) {
		t.Errorf("one order is refused: %v, %v", first, second)
	}
	if _, err := ParseSignatures(sa.Append(sa.Append(nil)), 2); !errors.Is(err, ErrEnvelope) {
		t.Errorf("the same key twice: %v", err)
	}
	if _, err := ParseSignatures(data[:191], 2); !errors.Is(err, ErrEnvelope) {
		t.Errorf("cut: %v", err)
	}
}

func TestPrivateFile(t *testing.T) {
	key, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.key")
	if err := SavePrivate(path, key); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	got, err := LoadPrivate(path)
	if err != nil || got.ID() != key.ID() {
		t.Fatalf("%s, %v", got.ID(), err)
	}
	if err := SavePrivate(path, testKey(1)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("saved over a key: %v", err)
	}
	if got, err = LoadPrivate(path); err != nil || got.ID() != key.ID() {
		t.Errorf("%s, %v", got.ID(), err)
	}
	if err := SavePrivate(path+"2", Private{}); !errors.Is(err, ErrKey) {
		t.Errorf("saved no key: %v", err)
	}
}

func TestPrivateFileBad(t *testing.T) {
	dir := t.TempDir()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	public, err := PEM(testKey(1).Public(RoleModel))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":     nil,
		"text":      []byte("not a key"),
		"public":    public,
		"ecdsa":     pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: der}),
		"truncated": pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: der[:10]}),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadPrivate(path); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LoadPrivate(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadTrust(filepath.Join(dir, "large")); err == nil {
		t.Error("read a trust file without end")
	}
}

func TestTrustFile(t *testing.T) {
	model, fleet := testKey(1).Public(RoleModel), testKey(2).Public(RoleFleet)
	path := filepath.Join(t.TempDir(), "trust.pem")
	if err := SavePublic(path, model, fleet); err != nil {
		t.Fatal(err)
	}
	trust, err := LoadTrust(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Public{model, fleet} {
		if got, ok := trust.Public(want.ID()); !ok || got != want {
			t.Errorf("%s: %+v, %v", want.Role, got, ok)
		}
	}
	if !trust.Has(RoleModel) || !trust.Has(RoleFleet) || trust.Has(3) || NewTrust(model).Has(RoleFleet) || (*Trust)(nil).Has(RoleModel) {
		t.Error("roles")
	}
	// A key keeps its first role.
	both := NewTrust(model).With(Public{Key: model.Key, Role: RoleFleet})
	if both.Has(RoleFleet) || len(both.Keys()) != 1 {
		t.Error("a key took a second role")
	}
	if err := SavePublic(path, model, Public{Key: model.Key, Role: RoleFleet}); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadTrust(path); !errors.Is(err, ErrKey) {
		t.Errorf("a key in two roles: %v", err)
	}
	if len((*Trust)(nil).With(model).Keys()) != 1 {
		t.Error("nobody, and one more")
	}
}

func TestParsePEMBad(t *testing.T) {
	good, err := PEM(testKey(1).Public(RoleFleet))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"empty":   "",
		"role":    strings.Replace(string(good), "fleet", "king", 1),
		"private": strings.ReplaceAll(string(good), publicBlock, privateBlock),
		"der":     string(pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: []byte{1, 2}})),
	} {
		if _, err := ParsePEM([]byte(data)); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStrings(t *testing.T) {
	if RoleModel.String() != "model" || RoleFleet.String() != "fleet" || Role(9).String() != "role(9)" {
		t.Error("role names")
	}
	key := testKey(1)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", key, key, key, key), Private{}.String()} {
		if strings.Contains(text, "[1 0") || !strings.Contains(text, "private key") {
			t.Errorf("a key shows: %s", text)
		}
	}
	if text, err := testKey(1).ID().MarshalText(); err != nil || len(text) != 64 {
		t.Errorf("%s, %v", text, err)
	}
}

func FuzzPeek(f *testing.F) {
	f.Add(Seal(testKey(1), TypeTime, []byte("payload")))
	f.Add([]byte("SKSG\x01\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sigs, payload, err := Peek(data)
		if err != nil {
			if !errors.Is(err, ErrEnvelope) {
				t.Fatal(err)
			}
			return
		}
		again := append([]byte("SKSG\x01"), byte(len(sigs)))
		for _, s := range sigs {
			again = s.Append(again)
		}
		if !bytes.Equal(append(again, payload...), data) {
			t.Fatal("another form")
		}
	})
}
