package bundle

import (
	"encoding/binary"
	"errors"

	"github.com/fxamacker/cbor/v2"

	"skiff/formats/canon"
	"skiff/formats/sign"
)

// The magic has a byte above ASCII and a line end, as PNG's, so that a transfer as text shows.
const magic = "\x89SKIFF\r\n"

const (
	formatVersion = 1
	headerSize    = 8 + 2 + 2 + 4 // magic, version, count, length
)

// header is what stands before the signatures.
type header struct {
	signatures int
	manifest   int // bytes
}

// envelopeSize is the length in bytes of the envelope that starts with h.
func (h header) envelopeSize() int {
	return headerSize + h.signatures*sign.SignatureSize + h.manifest
}

// parseHeader reads the first headerSize bytes, and bounds what they announce.
func parseHeader(data []byte) (header, error) {
	if len(data) < headerSize || string(data[:len(magic)]) != magic {
		return header{}, fault("header", 0, ErrCorrupt, "not a bundle")
	}
	le := binary.LittleEndian
	if v := le.Uint16(data[8:]); v != formatVersion {
		return header{}, fault("header", 8, ErrUnsupported, "version %d, want %d", v, formatVersion)
	}
	count, length := le.Uint16(data[10:]), le.Uint32(data[12:])
	if count < 1 || count > sign.MaxSignatures {
		return header{}, fault("header", 10, ErrLimit, "%d signatures, want 1 to %d", count, sign.MaxSignatures)
	}
	if length < 1 || length > MaxManifest {
		return header{}, fault("header", 12, ErrLimit, "manifest of %d bytes, want 1 to %d", length, MaxManifest)
	}
	return header{int(count), int(length)}, nil
}

// appendEnvelope lays out header, signatures and manifest.
func appendEnvelope(sigs []sign.Signature, manifest []byte) []byte {
	le := binary.LittleEndian
	out := append([]byte(nil), magic...)
	out = le.AppendUint16(out, formatVersion)
	out = le.AppendUint16(out, uint16(len(sigs)))
	out = le.AppendUint32(out, uint32(len(manifest)))
	for _, s := range sigs {
		out = s.Append(out)
	}
	return append(out, manifest...)
}

// ParseEnvelope reads a bundle's envelope; the result has no index yet. The signature is checked before the manifest is
// parsed; with a nil trust it is not checked at all, which is for showing and relaying. The result borrows data. Errors are
// *Error around ErrCorrupt, ErrUnsupported, ErrLimit, or those of package sign.
func ParseEnvelope(data []byte, trust *sign.Trust) (*Bundle, error) {
	h, err := parseHeader(data)
	if err != nil {
		return nil, err
	}
	if len(data) != h.envelopeSize() {
		return nil, fault("header", 12, ErrCorrupt, "envelope of %d bytes, want %d", len(data), h.envelopeSize())
	}
	sigs, err := sign.ParseSignatures(data[headerSize:], h.signatures)
	if err != nil {
		return nil, fault("signatures", 0, ErrCorrupt, "%v", err)
	}
	b := &Bundle{Envelope: data, Signatures: sigs, ManifestBytes: data[len(data)-h.manifest:]}
	if trust != nil {
		b.Key, err = trust.Verify(sign.RoleModel, sign.TypeManifest, b.ManifestBytes, sigs)
		if err != nil {
			return nil, &Error{Section: "signatures", Err: err}
		}
	}
	b.Manifest, err = parseManifest(b.ManifestBytes)
	if err != nil {
		return nil, err
	}
	if !signedBy(sigs, b.Manifest.KeyID) {
		return nil, fault("signatures", 0, ErrCorrupt, "none by the manifest's key %s", b.Manifest.KeyID)
	}
	return b, nil
}

func signedBy(sigs []sign.Signature, key sign.KeyID) bool {
	for _, s := range sigs {
		if s.Key == key {
			return true
		}
	}
	return false
}

// encodeManifest returns the deterministic form of a manifest that is within its limits.
func encodeManifest(m Manifest) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	options := cbor.CoreDetEncOptions()
	options.NilContainers = cbor.NilContainerAsEmpty // a list is never null
	mode, err := options.EncMode()
	if err != nil {
		return nil, err
	}
	data, err := mode.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(data) > MaxManifest {
		return nil, fault("manifest", 0, ErrLimit, "%d bytes, want at most %d", len(data), MaxManifest)
	}
	return data, nil
}

// parseManifest reads what encodeManifest writes, and nothing else but unknown even keys.
func parseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if err := canon.Check(data, m, maxManifestItems); err != nil {
		return Manifest{}, formFault(err)
	}
	if err := cbor.Unmarshal(data, &m); err != nil {
		return Manifest{}, fault("manifest", 0, ErrCorrupt, "%v", err)
	}
	return m, m.check()
}

// formFault turns an error of canon into one of this package.
func formFault(err error) error {
	kind, off := ErrCorrupt, int64(0)
	switch {
	case errors.Is(err, canon.ErrKey):
		kind = ErrUnsupported
	case errors.Is(err, canon.ErrItems):
		kind = ErrLimit
	}
	if e, ok := errors.AsType[*canon.Error](err); ok {
		off = int64(e.Off)
	}
	return fault("manifest", off, kind, "%v", err)
}
