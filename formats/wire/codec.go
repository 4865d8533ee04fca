package wire

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"skiff/formats/canon"
)

// ErrMessage is returned when bytes are not the message they should be, or a message breaks a bound.
var ErrMessage = errors.New("malformed message")

// Bounds of messages.
const (
	MaxMessage    = 64 << 10 // bytes of any message but a chunk
	MaxText       = 256      // bytes of a name or version
	MaxReason     = 1024     // bytes of a text for people
	MaxSlots      = 16
	MaxRecalled   = 1024
	MaxPermits    = 16
	MaxPermit     = 2048
	MaxSealedTime = 1024
	maxItems      = 4096 // array elements and map pairs of one message
)

// checked is a message that can hold itself against its bounds.
type checked interface{ check(c *checker) }

// encode returns the deterministic form of a message within its bounds.
func encode(name string, m checked) ([]byte, error) {
	c := &checker{}
	if m.check(c); c.err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, c.err)
	}
	options := cbor.CoreDetEncOptions()
	options.NilContainers = cbor.NilContainerAsEmpty // a list is never null
	mode, err := options.EncMode()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	data, err := mode.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	if len(data) > MaxMessage {
		return nil, fmt.Errorf("encode %s: %w: %d bytes, want at most %d", name, ErrMessage, len(data), MaxMessage)
	}
	return data, nil
}

// parse reads what encode writes into m, and nothing else but unknown even keys.
func parse(name string, data []byte, m checked) error {
	if len(data) > MaxMessage {
		return fmt.Errorf("parse %s: %w: %d bytes, want at most %d", name, ErrMessage, len(data), MaxMessage)
	}
	if err := canon.Check(data, m, maxItems); err != nil {
		return fmt.Errorf("parse %s: %w: %w", name, ErrMessage, err)
	}
	if err := cbor.Unmarshal(data, m); err != nil {
		return fmt.Errorf("parse %s: %w: %w", name, ErrMessage, err)
	}
	c := &checker{}
	if m.check(c); c.err != nil {
		return fmt.Errorf("parse %s: %w", name, c.err)
	}
	return nil
}

// Encode returns the message's bytes, or ErrMessage when it breaks a bound. So do all methods of this name.
func (m Hello) Encode() ([]byte, error) { return encode("hello", &m) }

// ParseHello reads a hello. Errors are ErrMessage, as of all functions of this kind.
func ParseHello(data []byte) (m Hello, err error) {
	if err = parse("hello", data, &m); err != nil {
		return Hello{}, err
	}
	return m, nil
}

// Encode returns the message's bytes.
func (m Status) Encode() ([]byte, error) { return encode("status", &m) }

// ParseStatus reads a status.
func ParseStatus(data []byte) (m Status, err error) {
	if err = parse("status", data, &m); err != nil {
		return Status{}, err
	}
	return m, nil
}

// Encode returns the message's bytes.
func (m Ack) Encode() ([]byte, error) { return encode("ack", &m) }

// ParseAck reads an ack. Its time is still sealed.
func ParseAck(data []byte) (m Ack, err error) {
	if err = parse("ack", data, &m); err != nil {
		return Ack{}, err
	}
	return m, nil
}

// Encode returns the message's bytes, not sealed.
func (m SignedTime) Encode() ([]byte, error) { return encode("time", &m) }

// ParseSignedTime reads a time whose seal was checked.
func ParseSignedTime(data []byte) (m SignedTime, err error) {
	if err = parse("time", data, &m); err != nil {
		return SignedTime{}, err
	}
	return m, nil
}

// Encode returns the message's bytes, not sealed.
func (m Desired) Encode() ([]byte, error) { return encode("desired", &m) }

// ParseDesired reads a desired state whose seal was checked.
func ParseDesired(data []byte) (m Desired, err error) {
	if err = parse("desired", data, &m); err != nil {
		return Desired{}, err
	}
	return m, nil
}

// Encode returns the message's bytes.
func (m Request) Encode() ([]byte, error) { return encode("request", &m) }

// ParseRequest reads a request.
func ParseRequest(data []byte) (m Request, err error) {
	if err = parse("request", data, &m); err != nil {
		return Request{}, err
	}
	return m, nil
}

// Encode returns the message's bytes.
func (m Error) Encode() ([]byte, error) { return encode("error", &m) }

// ParseError reads an error.
func ParseError(data []byte) (m Error, err error) {
	if err = parse("error", data, &m); err != nil {
		return Error{}, err
	}
	return m, nil
}
