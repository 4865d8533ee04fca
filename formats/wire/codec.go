package wire

import (
	"errors"

	"skiff/formats/bundle"
	"skiff/formats/sign"
)

var errTodo = errors.New("not yet")

// ErrMessage is returned when bytes are not the message they should be, or a message breaks a bound.
var ErrMessage = errors.New("malformed message")

// Encode returns the message's bytes, or ErrMessage when it breaks a bound.
func (m Hello) Encode() ([]byte, error)      { return nil, errTodo }
func (m Status) Encode() ([]byte, error)     { return nil, errTodo }
func (m Ack) Encode() ([]byte, error)        { return nil, errTodo }
func (m Desired) Encode() ([]byte, error)    { return nil, errTodo }
func (m SignedTime) Encode() ([]byte, error) { return nil, errTodo }
func (m Request) Encode() ([]byte, error)    { return nil, errTodo }
func (m Error) Encode() ([]byte, error)      { return nil, errTodo }

func ParseHello(data []byte) (Hello, error)           { return Hello{}, errTodo }
func ParseStatus(data []byte) (Status, error)         { return Status{}, errTodo }
func ParseAck(data []byte) (Ack, error)               { return Ack{}, errTodo }
func ParseDesired(data []byte) (Desired, error)       { return Desired{}, errTodo }
func ParseSignedTime(data []byte) (SignedTime, error) { return SignedTime{}, errTodo }
func ParseRequest(data []byte) (Request, error)       { return Request{}, errTodo }
func ParseError(data []byte) (Error, error)           { return Error{}, errTodo }

// SealDesired sets d.KeyID to k's and returns the sealed envelope.
func SealDesired(k sign.Private, d Desired) ([]byte, error) { return nil, errTodo }

// OpenDesired verifies and parses a sealed desired state; its KeyID must be the key that sealed it. Audience, product,
// counter and expiry are for the caller to judge.
func OpenDesired(t *sign.Trust, envelope []byte) (Desired, error) { return Desired{}, errTodo }

// PeekDesired parses a sealed desired state without verifying it: for the server that made it, and for showing.
func PeekDesired(envelope []byte) (Desired, error) { return Desired{}, errTodo }

// SealTime returns the sealed envelope of st.
func SealTime(k sign.Private, st SignedTime) ([]byte, error) { return nil, errTodo }

// OpenTime verifies and parses a sealed time; nonce and device are for the caller to compare.
func OpenTime(t *sign.Trust, envelope []byte) (SignedTime, error) { return SignedTime{}, errTodo }

// Sizes of chunk messages, in bytes.
const (
	ChunkHeader = 56
	MaxPayload  = 131_072 // a chunk message with its header
	MaxBody     = MaxPayload - ChunkHeader
)

// Chunk is the header of one piece of a bundle on its way.
type Chunk struct {
	Kind    Kind
	Codec   bundle.Codec
	Request uint32
	Bundle  [8]byte       // first bytes of the bundle's digest
	Index   uint32        // which piece
	Total   uint32        // pieces of this kind in the bundle
	Digest  bundle.Digest // of the body
}

// AppendChunk writes header and body to dst.
func AppendChunk(dst []byte, c Chunk, body []byte) []byte { return dst }

// ParseChunk splits a payload into header and body, which borrows from payload. It does not check the digest.
func ParseChunk(payload []byte) (Chunk, []byte, error) { return Chunk{}, nil, errTodo }

// Short returns the bytes of a digest that chunk headers carry.
func Short(d bundle.Digest) [8]byte { return [8]byte(d[:8]) }

// EnvelopePieces is the number of pieces an envelope of n bytes travels in.
func EnvelopePieces(n int) int { return (n + bundle.MaxPart - 1) / bundle.MaxPart }

// EnvelopePiece returns piece i of an envelope, borrowed.
func EnvelopePiece(envelope []byte, i int) []byte {
	return envelope[i*bundle.MaxPart : min(len(envelope), (i+1)*bundle.MaxPart)]
}
