package tokenizer

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// sentencePiece is what a SentencePiece model file (a ModelProto) says of its
// vocabulary.
type sentencePiece struct {
	pieces       []spPiece
	kind         uint64 // 1 unigram, 2 BPE
	unknown      uint64 // id
	unknownPiece string // "" for <unk>
	charsmap     []byte // empty: none
}

type spPiece struct {
	text  string
	score float32
	kind  uint64 // 0 as not given, or spControl, spUserDefined and others
}

// Kinds of pieces that are found in the text before the model sees it.
const (
	spControl     = 3
	spUserDefined = 4
)

// protoField is one field of a protocol buffer message.
type protoField struct {
	number uint64
	value  uint64 // of the numeric types
	bytes  []byte // of type 2
}

// protoReader reads the fields of a message.
type protoReader struct {
	data []byte
	off  int // of data in the file
	bad  bool
}

func (r *protoReader) varint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.take(n)
	return v
}

// take returns the next n bytes.
func (r *protoReader) take(n int) []byte {
	if n < 0 || n > len(r.data) {
		r.bad = true
		return nil
	}
	b := r.data[:n]
	r.data, r.off = r.data[n:], r.off+n
	return b
}

// next returns the next field; ok is false at the end and where the message is
// broken.
func (r *protoReader) next() (f protoField, ok bool) {
	if r.bad || len(r.data) == 0 {
		return f, false
	}
	tag := r.varint()
	f.number = tag >> 3
	switch tag & 7 {
	case 0:
		f.value = r.varint()
	case 1:
		if b := r.take(8); b != nil {
			f.value = binary.LittleEndian.Uint64(b)
		}
	case 2:
		f.bytes = r.take(int(min(r.varint(), math.MaxInt32)))
	case 5:
		if b := r.take(4); b != nil {
			f.value = uint64(binary.LittleEndian.Uint32(b))
		}
	default:
		r.bad = true
	}
	return f, !r.bad && f.number != 0
}

// sub reads the message in a field that was just read.
func (r *protoReader) sub(f protoField) *protoReader {
	return &protoReader{data: f.bytes, off: r.off - len(f.bytes)}
}

// parseSentencePiece reads a model file called name.
func parseSentencePiece(name string, data []byte) (*sentencePiece, error) {
	m := &sentencePiece{kind: 1}
	r := &protoReader{data: data}
	broken := func(off int) error { return &Error{name, off, "broken protocol buffer", ErrCorrupt} }
	for {
		at := r.off
		f, ok := r.next()
		if !ok {
			break
		}
		sub := r.sub(f)
		switch f.number {
		case 1:
			p, ok := parsePiece(sub)
			if !ok {
				return nil, broken(sub.off)
			}
			if m.pieces = append(m.pieces, p); !utf8.ValidString(p.text) {
				return nil, &Error{name, at, "a piece is not UTF-8", ErrCorrupt}
			}
		case 2:
			m.trainer(sub)
		case 3:
			m.normalizer(sub)
		}
		if sub.bad {
			return nil, broken(sub.off)
		}
	}
	if r.bad || len(r.data) > 0 || len(m.pieces) == 0 {
		return nil, broken(r.off)
	}
	return m, nil
}

func parsePiece(r *protoReader) (p spPiece, ok bool) {
	for {
		f, ok := r.next()
		if !ok {
			return p, !r.bad && len(r.data) == 0
		}
		switch f.number {
		case 1:
			p.text = string(f.bytes)
		case 2:
			p.score = math.Float32frombits(uint32(f.value))
		case 3:
			p.kind = f.value
		}
	}
}

func (m *sentencePiece) trainer(r *protoReader) {
	for {
		f, ok := r.next()
		if !ok {
			return
		}
		switch f.number {
		case 3:
			m.kind = f.value
		case 40:
			m.unknown = f.value
		case 45:
			m.unknownPiece = string(f.bytes)
		}
	}
}

func (m *sentencePiece) normalizer(r *protoReader) {
	for {
		f, ok := r.next()
		if !ok {
			return
		}
		if f.number == 2 {
			m.charsmap = f.bytes
		}
	}
}
