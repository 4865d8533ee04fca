package sign

import (
	"fmt"
)

const (
	envelopeMagic   = "SKSG"
	envelopeVersion = 1
	envelopeHeader  = len(envelopeMagic) + 2 // magic, version, count
)

// Seal signs payload with k and returns the envelope of both. The payload must not be empty.
func Seal(k Private, payloadType string, payload []byte) []byte {
	out := make([]byte, 0, envelopeHeader+SignatureSize+len(payload))
	out = append(out, envelopeMagic...)
	out = append(out, envelopeVersion, 1)
	out = k.Sign(payloadType, payload).Append(out)
	return append(out, payload...)
}

// Open verifies an envelope and returns its payload, which borrows from envelope, and the key that signed it. A payload
// longer than maxPayload bytes is refused before anything is verified. Errors: ErrEnvelope, ErrUntrusted, ErrSignature.
func Open(t *Trust, role Role, payloadType string, envelope []byte, maxPayload int) ([]byte, KeyID, error) {
	sigs, payload, err := Peek(envelope)
	if err != nil {
		return nil, KeyID{}, err
	}
	if len(payload) > maxPayload {
		return nil, KeyID{}, fmt.Errorf("%w: payload of %d bytes, want at most %d", ErrEnvelope, len(payload), maxPayload)
	}
	key, err := t.Verify(role, payloadType, payload, sigs)
	if err != nil {
		return nil, KeyID{}, err
	}
	return payload, key, nil
}

// Peek splits an envelope without verifying anything: for one who only relays it. The payload borrows from envelope.
func Peek(envelope []byte) (sigs []Signature, payload []byte, err error) {
	if len(envelope) < envelopeHeader || string(envelope[:len(envelopeMagic)]) != envelopeMagic {
		return nil, nil, fmt.Errorf("%w: no magic", ErrEnvelope)
	}
	if v := envelope[len(envelopeMagic)]; v != envelopeVersion {
		return nil, nil, fmt.Errorf("%w: version %d, want %d", ErrEnvelope, v, envelopeVersion)
	}
	count := int(envelope[len(envelopeMagic)+1])
	rest := envelope[envelopeHeader:]
	sigs, err = ParseSignatures(rest, count)
	if err != nil {
		return nil, nil, err
	}
	payload = rest[count*SignatureSize:]
	if len(payload) == 0 {
		return nil, nil, fmt.Errorf("%w: no payload", ErrEnvelope)
	}
	return sigs, payload, nil
}
