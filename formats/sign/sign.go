// Package sign makes and checks the signatures of skiff: Ed25519 over the pre-authentication encoding of DSSE version 1,
// in fixed binary form.
//
// What is signed is never the payload alone but PAE(type, payload), so that a signature made for one kind of content is
// worthless for another. A key has one role: a model key signs manifests, a fleet key signs desired states and times; a
// signature by a key of the wrong role counts for nothing.
//
// A Signature is 96 bytes: the key id (SHA-256 of the raw 32-byte public key), then the 64 bytes of Ed25519. An envelope
// carries a payload together with its signatures:
//
//	offset  size      field
//	0       4         magic "SKSG"
//	4       1         version, 1
//	5       1         count of signatures, 1 to 8
//	6       96*count  signatures, key ids strictly ascending
//	...     rest      payload, not empty
//
// Data flow: Private signs, Seal packs; Open splits, Trust verifies, and only then is the payload handed out. Nothing here
// parses a payload. The package imports nothing of ours but formats/durable, for writing key files.
package sign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// Payload types: what a signature is about.
const (
	TypeManifest = "application/vnd.skiff.manifest.v1" // a bundle's manifest; role model
	TypeDesired  = "application/vnd.skiff.desired.v1"  // a desired state; role fleet
	TypeTime     = "application/vnd.skiff.time.v1"     // the answer to a device's nonce; role fleet
)

// MaxSignatures bounds the signatures over one payload.
const MaxSignatures = 8

// SignatureSize is the length of a Signature in files and messages, in bytes.
const SignatureSize = 96

var (
	// ErrUntrusted is returned when no signature is by a trusted key of the role that is asked for.
	ErrUntrusted = errors.New("no signature by a trusted key")
	// ErrSignature is returned when a signature that names a trusted key does not verify.
	ErrSignature = errors.New("signature does not verify")
	// ErrEnvelope is returned when bytes are not a signed envelope, or break one of its limits.
	ErrEnvelope = errors.New("malformed signed envelope")
	// ErrKey is returned when a key file holds no usable key.
	ErrKey = errors.New("malformed key")
)

// KeyID names a public key: the SHA-256 of its 32 raw bytes.
type KeyID [sha256.Size]byte

// String returns 64 hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes the id as String does, for JSON.
func (id KeyID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// Role says what a key may sign. The numbers are frozen.
type Role uint8

// The roles.
const (
	RoleModel Role = 1 // manifests
	RoleFleet Role = 2 // desired states and times
)

// String returns "model", "fleet", or the number of a role unknown here.
func (r Role) String() string {
	switch r {
	case RoleModel:
		return "model"
	case RoleFleet:
		return "fleet"
	}
	return "role(" + strconv.Itoa(int(r)) + ")"
}

// Public is a public key and the role it is trusted for. It is comparable.
type Public struct {
	Key  [ed25519.PublicKeySize]byte
	Role Role
}

// ID returns the key's name.
func (p Public) ID() KeyID { return sha256.Sum256(p.Key[:]) }

// Signature is one signature over a PAE.
type Signature struct {
	Key KeyID
	Sig [ed25519.SignatureSize]byte
}

// Append writes the 96 bytes of s to dst.
func (s Signature) Append(dst []byte) []byte {
	return append(append(dst, s.Key[:]...), s.Sig[:]...)
}

// ParseSignatures reads count signatures from the front of data, which must be long enough, and checks that the key ids
// ascend strictly, so that there is one order and no repetition.
func ParseSignatures(data []byte, count int) ([]Signature, error) {
	if count < 1 || count > MaxSignatures {
		return nil, fmt.Errorf("%w: %d signatures, want 1 to %d", ErrEnvelope, count, MaxSignatures)
	}
	if len(data) < count*SignatureSize {
		return nil, fmt.Errorf("%w: %d bytes for %d signatures", ErrEnvelope, len(data), count)
	}
	sigs := make([]Signature, count)
	for i := range sigs {
		rest := data[i*SignatureSize:]
		copy(sigs[i].Key[:], rest)
		copy(sigs[i].Sig[:], rest[len(sigs[i].Key):])
		if i > 0 && bytes.Compare(sigs[i-1].Key[:], sigs[i].Key[:]) >= 0 {
			return nil, fmt.Errorf("%w: signature %d: key ids do not ascend", ErrEnvelope, i)
		}
	}
	return sigs, nil
}

// PAE is the pre-authentication encoding of DSSE version 1: the bytes a signature is made over.
func PAE(payloadType string, payload []byte) []byte {
	out := make([]byte, 0, len("DSSEv1    ")+len(payloadType)+len(payload)+40)
	out = append(out, "DSSEv1 "...)
	out = strconv.AppendInt(out, int64(len(payloadType)), 10)
	out = append(out, ' ')
	out = append(out, payloadType...)
	out = append(out, ' ')
	out = strconv.AppendInt(out, int64(len(payload)), 10)
	out = append(out, ' ')
	return append(out, payload...)
}
