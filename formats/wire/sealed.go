package wire

import (
	"fmt"

	"skiff/formats/sign"
)

// SealDesired sets the key id of d to k's and returns the sealed envelope, which is what travels.
func SealDesired(k sign.Private, d Desired) ([]byte, error) {
	d.KeyID = k.ID()
	data, err := d.Encode()
	if err != nil {
		return nil, err
	}
	return sign.Seal(k, sign.TypeDesired, data), nil
}

// OpenDesired verifies a sealed desired state, then parses it; its key id must be that of the key that sealed it. Whether
// audience, product, counter and expiry fit is for the caller to judge. Errors are ErrMessage or of package sign.
func OpenDesired(t *sign.Trust, envelope []byte) (Desired, error) {
	payload, key, err := sign.Open(t, sign.RoleFleet, sign.TypeDesired, envelope, MaxMessage)
	if err != nil {
		return Desired{}, fmt.Errorf("open desired: %w", err)
	}
	d, err := ParseDesired(payload)
	if err != nil {
		return Desired{}, err
	}
	if d.KeyID != key {
		return Desired{}, fmt.Errorf("open desired: %w: names key %s, sealed by %s", ErrMessage, d.KeyID, key)
	}
	return d, nil
}

// PeekDesired parses a sealed desired state without verifying it: for the server that made it, and for showing.
func PeekDesired(envelope []byte) (Desired, error) {
	_, payload, err := sign.Peek(envelope)
	if err != nil {
		return Desired{}, fmt.Errorf("peek desired: %w", err)
	}
	return ParseDesired(payload)
}

// SealTime returns the sealed envelope of a time.
func SealTime(k sign.Private, st SignedTime) ([]byte, error) {
	data, err := st.Encode()
	if err != nil {
		return nil, err
	}
	return sign.Seal(k, sign.TypeTime, data), nil
}

// OpenTime verifies a sealed time, then parses it. Nonce and device are for the caller to compare with those of his hello.
func OpenTime(t *sign.Trust, envelope []byte) (SignedTime, error) {
	payload, _, err := sign.Open(t, sign.RoleFleet, sign.TypeTime, envelope, MaxSealedTime)
	if err != nil {
		return SignedTime{}, fmt.Errorf("open time: %w", err)
	}
	return ParseSignedTime(payload)
}
