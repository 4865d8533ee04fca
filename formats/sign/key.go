package sign

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"skiff/formats/durable"
)

const (
	privateBlock = "PRIVATE KEY"
	publicBlock  = "PUBLIC KEY"
	roleHeader   = "Role"
	maxKeyFile   = 1 << 20 // bytes; thousands of keys
)

// Private is a signing key. The zero value holds no key and panics when it is used as one; Generate, LoadPrivate and
// FromSeed make keys.
type Private struct {
	key ed25519.PrivateKey
}

// Generate makes a new key from the system's randomness.
func Generate() (Private, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Private{}, fmt.Errorf("generate key: %w", err)
	}
	return Private{key}, nil
}

// FromSeed makes the key of a 32-byte seed: for tests and golden files, where the same key must come out for ever.
func FromSeed(seed [ed25519.SeedSize]byte) Private {
	return Private{ed25519.NewKeyFromSeed(seed[:])}
}

// IsZero reports whether k holds no key.
func (k Private) IsZero() bool { return len(k.key) == 0 }

// String names the key, and shows nothing of it.
func (k Private) String() string {
	if k.IsZero() {
		return "no private key"
	}
	return "private key of " + k.ID().String()
}

// GoString is String.
func (k Private) GoString() string { return k.String() }

// Public returns the public half with the given role.
func (k Private) Public(role Role) Public {
	p := Public{Role: role}
	copy(p.Key[:], k.key.Public().(ed25519.PublicKey))
	return p
}

// ID names the public half.
func (k Private) ID() KeyID { return k.Public(0).ID() }

// Sign signs PAE(payloadType, payload). The same key and input give the same signature.
func (k Private) Sign(payloadType string, payload []byte) Signature {
	s := Signature{Key: k.ID()}
	copy(s.Sig[:], ed25519.Sign(k.key, PAE(payloadType, payload)))
	return s
}

// LoadPrivate reads a key file of SavePrivate, or any PKCS#8 PEM file with one Ed25519 key.
func LoadPrivate(path string) (Private, error) {
	data, err := readKeyFile(path)
	if err != nil {
		return Private{}, fmt.Errorf("read private key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != privateBlock {
		return Private{}, fmt.Errorf("read private key %s: %w: no %q block", path, ErrKey, privateBlock)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Private{}, fmt.Errorf("read private key %s: %w: %w", path, ErrKey, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Private{}, fmt.Errorf("read private key %s: %w: %T is not Ed25519", path, ErrKey, parsed)
	}
	return Private{key}, nil
}

// SavePrivate writes k durably to a new file that only its owner can read. It returns an error that is fs.ErrExist, and
// touches nothing, when path exists.
func SavePrivate(path string, k Private) error {
	if k.IsZero() {
		return fmt.Errorf("save private key: %w: empty", ErrKey)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.key)
	if err != nil {
		return fmt.Errorf("save private key: %w", err)
	}
	err = durable.Create(path, 0o600, func(w io.Writer) error {
		return pem.Encode(w, &pem.Block{Type: privateBlock, Bytes: der})
	})
	if err != nil {
		return fmt.Errorf("save private key: %w", err)
	}
	return nil
}

// PEM returns the trust-file form of public keys, one block after another.
func PEM(keys ...Public) ([]byte, error) {
	var out []byte
	for _, p := range keys {
		der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(p.Key[:]))
		if err != nil {
			return nil, fmt.Errorf("encode public key: %w", err)
		}
		block := &pem.Block{Type: publicBlock, Bytes: der}
		if p.Role != RoleModel {
			block.Headers = map[string]string{roleHeader: p.Role.String()}
		}
		out = append(out, pem.EncodeToMemory(block)...)
	}
	return out, nil
}

// SavePublic durably writes a trust file with the given keys, replacing one that is there.
func SavePublic(path string, keys ...Public) error {
	text, err := PEM(keys...)
	if err != nil {
		return err
	}
	err = durable.Write(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err != nil {
		return fmt.Errorf("save public keys: %w", err)
	}
	return nil
}

// ParsePEM reads the keys of a trust file: "PUBLIC KEY" blocks (PKIX), each with an optional header "Role: fleet"; without
// it the role is model. Anything that is not such a block is refused.
func ParsePEM(data []byte) ([]Public, error) {
	var keys []Public
	for rest := data; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		p, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(keys), err)
		}
		keys = append(keys, p)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: no %q block", ErrKey, publicBlock)
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (Public, error) {
	if block.Type != publicBlock {
		return Public{}, fmt.Errorf("%w: block %q, want %q", ErrKey, block.Type, publicBlock)
	}
	p := Public{Role: RoleModel}
	switch role := block.Headers[roleHeader]; role {
	case "", RoleModel.String():
	case RoleFleet.String():
		p.Role = RoleFleet
	default:
		return Public{}, fmt.Errorf("%w: role %q", ErrKey, role)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Public{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok || len(key) != len(p.Key) {
		return Public{}, fmt.Errorf("%w: %T is not Ed25519", ErrKey, parsed)
	}
	copy(p.Key[:], key)
	return p, nil
}

// readKeyFile reads a file of bounded size.
func readKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, errors.New("key file is larger than 1 MiB")
	}
	return data, nil
}
