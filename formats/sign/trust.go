package sign

import (
	"crypto/ed25519"
	"fmt"
	"slices"
)

// Trust is a set of public keys that are believed, each in one role. It is immutable: any number of goroutines may use
// it. A nil Trust believes nobody.
type Trust struct {
	keys map[KeyID]Public
}

// NewTrust returns a Trust of the given keys. A key has one role: where one is given twice, the first stands.
func NewTrust(keys ...Public) *Trust {
	t := &Trust{keys: make(map[KeyID]Public, len(keys))}
	for _, p := range keys {
		if _, ok := t.keys[p.ID()]; !ok {
			t.keys[p.ID()] = p
		}
	}
	return t
}

// LoadTrust reads a trust file (see ParsePEM). A key that is listed in two roles is refused.
func LoadTrust(path string) (*Trust, error) {
	data, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("read trust: %w", err)
	}
	keys, err := ParsePEM(data)
	if err != nil {
		return nil, fmt.Errorf("read trust %s: %w", path, err)
	}
	t := NewTrust(keys...)
	for _, p := range keys {
		if t.keys[p.ID()] != p {
			return nil, fmt.Errorf("read trust %s: %w: key %s is listed in two roles", path, ErrKey, p.ID())
		}
	}
	return t, nil
}

// With returns a Trust that also believes p, unless the same key is believed already, in whatever role.
func (t *Trust) With(p Public) *Trust {
	return NewTrust(append(t.Keys(), p)...)
}

// Keys returns the keys in the order of their ids.
func (t *Trust) Keys() []Public {
	if t == nil {
		return nil
	}
	keys := make([]Public, 0, len(t.keys))
	for _, p := range t.keys {
		keys = append(keys, p)
	}
	slices.SortFunc(keys, func(a, b Public) int {
		x, y := a.ID(), b.ID()
		return slices.Compare(x[:], y[:])
	})
	return keys
}

// Public returns the believed key of that name.
func (t *Trust) Public(id KeyID) (Public, bool) {
	if t == nil {
		return Public{}, false
	}
	p, ok := t.keys[id]
	return p, ok
}

// Has reports whether any key is believed in the role.
func (t *Trust) Has(role Role) bool {
	for _, p := range t.Keys() {
		if p.Role == role {
			return true
		}
	}
	return false
}

// Verify checks the signatures over a payload and returns the first key of the role that signed it. Every signature by a
// believed key of the role must verify; those by other keys are passed over. Errors: ErrUntrusted, ErrSignature.
func (t *Trust) Verify(role Role, payloadType string, payload []byte, sigs []Signature) (KeyID, error) {
	if len(sigs) > MaxSignatures {
		return KeyID{}, fmt.Errorf("%w: %d signatures, want at most %d", ErrEnvelope, len(sigs), MaxSignatures)
	}
	message := PAE(payloadType, payload)
	var found KeyID
	verified := false
	for _, s := range sigs {
		p, ok := t.Public(s.Key)
		if !ok || p.Role != role {
			continue
		}
		if !ed25519.Verify(p.Key[:], message, s.Sig[:]) {
			return KeyID{}, fmt.Errorf("%w: %s key %s", ErrSignature, role, s.Key)
		}
		if !verified {
			found, verified = s.Key, true
		}
	}
	if !verified {
		return KeyID{}, fmt.Errorf("%w of role %s", ErrUntrusted, role)
	}
	return found, nil
}
