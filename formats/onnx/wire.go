package onnx

import (
	"errors"
	"io"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// span is a part of the file, from at to before end.
type span struct{ at, end int }

// field is one field of a message.
type field struct {
	num  protowire.Number
	typ  protowire.Type
	bits uint64 // of a number of any of the three types
	span        // of the bytes of a string, message or packed list; else of the number
}

// message names a kind of message for errors and tells which of its fields come
// at most once.
type message struct {
	name string
	once []protowire.Number
}

// fields calls visit with each field of the message of kind m in s.
func (r *reader) fields(m message, s span, visit func(f field) error) error {
	var seen uint32
	for s.at < s.end {
		at := s.at
		f, err := r.field(&s)
		if err != nil {
			return prefix(m.name, err)
		}
		for _, num := range m.once {
			if num != f.num {
				continue
			}
			if seen&(1<<num) != 0 {
				return fault(at, "", "%s: field %d comes twice", m.name, num)
			}
			seen |= 1 << num
		}
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// field reads the field at the start of s and moves s behind it.
func (r *reader) field(s *span) (field, error) {
	at := s.at
	tag, err := r.varint(s)
	if err != nil {
		return field{}, err
	}
	f := field{num: protowire.Number(tag >> 3), typ: protowire.Type(tag & 7), span: span{s.at, s.at}}
	if tag>>3 == 0 || tag>>3 > uint64(protowire.MaxValidNumber) {
		return f, fault(at, "", "field number %d: this is no protobuf", tag>>3)
	}
	switch f.typ {
	case protowire.VarintType:
		f.bits, err = r.varint(s)
	case protowire.Fixed32Type:
		f.bits, err = r.fixed(s, 4)
	case protowire.Fixed64Type:
		f.bits, err = r.fixed(s, 8)
	case protowire.BytesType:
		return f, r.bytes(s, &f)
	case protowire.StartGroupType, protowire.EndGroupType:
		err = fault(at, "", "field %d is a group, which ONNX does not use", f.num)
	default:
		err = fault(at, "", "field %d is of the unknown wire type %d", f.num, f.typ)
	}
	f.end = s.at
	return f, err
}

// bytes reads the length and the place of a field of bytes.
func (r *reader) bytes(s *span, f *field) error {
	at := s.at
	n, err := r.varint(s)
	if err != nil {
		return err
	}
	if left := uint64(s.end - s.at); n > left {
		return fault(at, "", "field %d claims %d bytes, but only %d follow; is the file cut off?", f.num, n, left)
	}
	f.span = span{s.at, s.at + int(n)}
	s.at = f.end
	return nil
}

// varint reads a number of one to ten bytes.
func (r *reader) varint(s *span) (uint64, error) {
	v, n := protowire.ConsumeVarint(r.data[s.at:s.end])
	switch {
	case n >= 0:
		s.at += n
		return v, nil
	case errors.Is(protowire.ParseError(n), io.ErrUnexpectedEOF):
		return 0, fault(s.at, "", "the message ends inside a number; is the file cut off?")
	}
	return 0, fault(s.at, "", "a number of more than ten bytes or 64 bits")
}

// fixed reads a number of size bytes.
func (r *reader) fixed(s *span, size int) (uint64, error) {
	if s.end-s.at < size {
		return 0, fault(s.at, "", "the message ends inside a number; is the file cut off?")
	}
	var v uint64
	for i := range size {
		v |= uint64(r.data[s.at+i]) << (8 * i)
	}
	s.at += size
	return v, nil
}

// is refuses a field of another wire type.
func (f field) is(m message, t protowire.Type) error {
	if f.typ != t {
		return fault(f.at, "", "%s: field %d is of the wire type %d instead of %d", m.name, f.num, f.typ, t)
	}
	return nil
}

// int reads a number.
func (r *reader) int(m message, f field, to *int64) error {
	*to = int64(f.bits)
	return f.is(m, protowire.VarintType)
}

// text reads a string that names something, and keeps one copy of each.
func (r *reader) text(m message, f field, to *string) error {
	if err := f.is(m, protowire.BytesType); err != nil {
		return err
	}
	b := r.data[f.at:f.end]
	if len(b) > maxName {
		return fault(f.at, "", "%s: a name of %d bytes, more than %d", m.name, len(b), maxName)
	}
	if !utf8.Valid(b) {
		return fault(f.at, "", "%s: a name that is no UTF-8", m.name)
	}
	*to = r.intern(b)
	return nil
}

// intern is the string of b, the same for every time it comes.
func (r *reader) intern(b []byte) string {
	if s, ok := r.names[string(b)]; ok {
		return s
	}
	s := string(b)
	r.names[s] = s
	return s
}

// list visits the numbers of a repeated field of type t, packed or not.
func (r *reader) list(m message, f field, t protowire.Type, visit func(bits uint64) error) error {
	if f.typ == t {
		return visit(f.bits)
	}
	if err := f.is(m, protowire.BytesType); err != nil {
		return err
	}
	s := f.span
	for s.at < s.end {
		var v uint64
		var err error
		switch t {
		case protowire.VarintType:
			v, err = r.varint(&s)
		case protowire.Fixed32Type:
			v, err = r.fixed(&s, 4)
		default:
			v, err = r.fixed(&s, 8)
		}
		if err == nil {
			err = visit(v)
		}
		if err != nil {
			return prefix(m.name, err)
		}
	}
	return nil
}

// nameIn is the first name in the field num of the message in s, whatever else is
// wrong with it.
func (r *reader) nameIn(s span, num protowire.Number) (name string) {
	for s.at < s.end && name == "" {
		f, err := r.field(&s)
		if err != nil {
			return ""
		}
		if f.num == num {
			_ = r.text(message{}, f, &name) // a name that is wrong names nothing
		}
	}
	return name
}

// unknown refuses a field that no version of ONNX up to the newest known has.
func (r *reader) unknown(m message, f field) error {
	return fault(f.at, "", "%s: unknown field %d", m.name, f.num)
}
