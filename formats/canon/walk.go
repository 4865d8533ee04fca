package canon

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"unicode/utf8"
)

// The major types of CBOR, and the two simple values allowed.
const (
	majorUint   = 0
	majorNegint = 1
	majorBytes  = 2
	majorText   = 3
	majorArray  = 4
	majorMap    = 5
	majorSimple = 7

	simpleFalse = 20
	simpleTrue  = 21
)

// walker goes once over the data, beside a type.
type walker struct {
	data  []byte
	off   int // of the next byte
	at    int // of the item being read, for errors
	items int // that may still come
	path  []string
	plans map[reflect.Type]*plan
}

// head is the start of an item.
type head struct {
	major byte
	info  byte   // additional information
	arg   uint64 // value, length or count; the bits of a float
}

// head reads the start of the next item, in its shortest form only.
func (w *walker) head() (head, error) {
	w.at = w.off
	if w.off >= len(w.data) {
		return head{}, fmt.Errorf("%w: data ends", ErrForm)
	}
	first := w.data[w.off]
	w.off++
	h := head{major: first >> 5, info: first & 31, arg: uint64(first & 31)}
	if h.info < 24 {
		return h, nil
	}
	if h.info > 27 {
		return head{}, fmt.Errorf("%w: indefinite or reserved length", ErrForm)
	}
	size := 1 << (h.info - 24)
	if len(w.data)-w.off < size {
		return head{}, fmt.Errorf("%w: data ends", ErrForm)
	}
	var buf [8]byte
	copy(buf[8-size:], w.data[w.off:w.off+size])
	h.arg = binary.BigEndian.Uint64(buf[:])
	w.off += size
	if h.major != majorSimple && !shortest(h.arg, size) {
		return head{}, fmt.Errorf("%w: number is not in its shortest form", ErrForm)
	}
	return h, nil
}

// shortest reports whether arg needs an argument of size bytes.
func shortest(arg uint64, size int) bool {
	if size == 1 {
		return arg >= 24
	}
	return arg >= 1<<(8*size/2)
}

// value reads one item of type t and reports whether it is t's zero value.
func (w *walker) value(t reflect.Type, depth int) (zero bool, err error) {
	if depth > maxDepth {
		return false, fmt.Errorf("%w: nested deeper than %d", ErrForm, maxDepth)
	}
	h, err := w.head()
	if err != nil {
		return false, err
	}
	want := false
	switch t.Kind() {
	case reflect.Struct:
		if want = h.major == majorMap; want {
			return w.fields(t, h.arg, depth)
		}
	case reflect.Slice, reflect.Array:
		return w.list(t, h, depth)
	case reflect.String:
		if want = h.major == majorText; want {
			return h.arg == 0, w.text(h.arg)
		}
	case reflect.Bool:
		if want = h.major == majorSimple && (h.info == simpleFalse || h.info == simpleTrue); want {
			return h.info == simpleFalse, nil
		}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if want = h.major == majorUint; want {
			return h.arg == 0, inRange(!t.OverflowUint(h.arg), t)
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		if want = h.major <= majorNegint; want {
			ok := h.arg <= math.MaxInt64 && !t.OverflowInt(int64(h.arg))
			return h.major == majorUint && h.arg == 0, inRange(ok, t)
		}
	case reflect.Float64:
		if want = h.major == majorSimple && h.info >= 25; want {
			return w.float(h)
		}
	default:
		panic("canon: type " + t.String() + " has no form")
	}
	return false, fmt.Errorf("%w: major type %d for %s", ErrForm, h.major, t)
}

func inRange(ok bool, t reflect.Type) error {
	if !ok {
		return fmt.Errorf("%w: out of range for %s", ErrForm, t)
	}
	return nil
}

// list reads what follows the head of an array or a byte string.
func (w *walker) list(t reflect.Type, h head, depth int) (zero bool, err error) {
	if t.Elem().Kind() == reflect.Uint8 {
		return w.bytesOf(t, h)
	}
	if h.major != majorArray || t.Kind() == reflect.Array {
		return false, fmt.Errorf("%w: major type %d for %s", ErrForm, h.major, t)
	}
	if err := w.take(h.arg); err != nil {
		return false, err
	}
	for range h.arg {
		if _, err := w.value(t.Elem(), depth+1); err != nil {
			return false, err
		}
	}
	return h.arg == 0, nil
}

// bytesOf reads a byte string, for an array of exactly its length.
func (w *walker) bytesOf(t reflect.Type, h head) (zero bool, err error) {
	if h.major != majorBytes {
		return false, fmt.Errorf("%w: major type %d for %s", ErrForm, h.major, t)
	}
	if t.Kind() == reflect.Array && h.arg != uint64(t.Len()) {
		return false, fmt.Errorf("%w: %d bytes for %s", ErrForm, h.arg, t)
	}
	data, err := w.next(h.arg)
	if err != nil || t.Kind() == reflect.Slice {
		return h.arg == 0, err
	}
	for _, b := range data {
		if b != 0 {
			return false, nil
		}
	}
	return true, nil
}

// fields reads the pairs of a map that stands for a struct.
func (w *walker) fields(t reflect.Type, pairs uint64, depth int) (zero bool, err error) {
	if err := w.take(pairs); err != nil {
		return false, err
	}
	p := w.planOf(t)
	needed, last, zero := p.needed, int64(-1), true
	for range pairs {
		key, err := w.key(&last)
		if err != nil {
			return false, err
		}
		f, known := p.fields[key]
		if !known {
			if key%2 == 1 {
				return false, fmt.Errorf("%w %d", ErrKey, key)
			}
			if err := w.skip(depth + 1); err != nil {
				return false, err
			}
			continue
		}
		fieldZero, err := w.field(t.Field(f.index).Type, f, depth)
		if err != nil {
			return false, err
		}
		if zero = zero && fieldZero; !f.optional {
			needed--
		}
	}
	if needed > 0 {
		return false, fmt.Errorf("%w: %d fields are missing", ErrForm, needed)
	}
	return zero, nil
}

// field reads the value of one known field. The path is left in place on an error.
func (w *walker) field(t reflect.Type, f field, depth int) (zero bool, err error) {
	w.path = append(w.path, f.name)
	start := w.off
	zero, err = w.value(t, depth+1)
	if err != nil {
		return false, err
	}
	if zero && f.optional {
		w.at = start
		return false, fmt.Errorf("%w: zero written out", ErrForm)
	}
	w.path = w.path[:len(w.path)-1]
	return zero, nil
}

// key reads an unsigned key above the last one.
func (w *walker) key(last *int64) (uint64, error) {
	h, err := w.head()
	if err != nil {
		return 0, err
	}
	if h.major != majorUint || h.arg > math.MaxInt32 {
		return 0, fmt.Errorf("%w: key is not a small unsigned number", ErrForm)
	}
	if int64(h.arg) <= *last {
		return 0, fmt.Errorf("%w: key %d after %d", ErrForm, h.arg, *last)
	}
	*last = int64(h.arg)
	return h.arg, nil
}

// skip reads one item of any type.
func (w *walker) skip(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrForm, maxDepth)
	}
	h, err := w.head()
	if err != nil {
		return err
	}
	switch h.major {
	case majorUint, majorNegint:
		return nil
	case majorBytes:
		_, err := w.next(h.arg)
		return err
	case majorText:
		return w.text(h.arg)
	case majorArray:
		return w.skipArray(h.arg, depth)
	case majorMap:
		return w.skipMap(h.arg, depth)
	case majorSimple:
		if h.info == simpleFalse || h.info == simpleTrue {
			return nil
		}
		if h.info >= 25 {
			_, err := w.float(h)
			return err
		}
	}
	return fmt.Errorf("%w: tag or simple value", ErrForm)
}

func (w *walker) skipArray(count uint64, depth int) error {
	if err := w.take(count); err != nil {
		return err
	}
	for range count {
		if err := w.skip(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// skipMap reads a map with keys of any type, in the order of their bytes.
func (w *walker) skipMap(pairs uint64, depth int) error {
	if err := w.take(pairs); err != nil {
		return err
	}
	var last []byte
	for range pairs {
		start := w.off
		if err := w.skip(depth + 1); err != nil {
			return err
		}
		key := w.data[start:w.off]
		if last != nil && bytes.Compare(last, key) >= 0 {
			w.at = start
			return fmt.Errorf("%w: keys repeat or do not ascend", ErrForm)
		}
		last = key
		if err := w.skip(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// take accounts for count items, each of which needs at least one more byte.
func (w *walker) take(count uint64) error {
	if count > uint64(len(w.data)-w.off) {
		return fmt.Errorf("%w: data ends", ErrForm)
	}
	if w.items -= int(count); w.items < 0 {
		return ErrItems
	}
	return nil
}

// next returns the next n bytes.
func (w *walker) next(n uint64) ([]byte, error) {
	if n > uint64(len(w.data)-w.off) {
		return nil, fmt.Errorf("%w: data ends", ErrForm)
	}
	data := w.data[w.off : w.off+int(n)]
	w.off += int(n)
	return data, nil
}

func (w *walker) text(n uint64) error {
	data, err := w.next(n)
	if err == nil && !utf8.Valid(data) {
		err = fmt.Errorf("%w: invalid UTF-8", ErrForm)
	}
	return err
}

// float checks a finite float in the shortest form that holds its value.
func (w *walker) float(h head) (zero bool, err error) {
	var v float64
	short := false
	switch h.info {
	case 25:
		v, short = half(uint16(h.arg)), true
	case 26:
		f := math.Float32frombits(uint32(h.arg))
		v, short = float64(f), !fitsHalf(f)
	case 27:
		v = math.Float64frombits(h.arg)
		short = float64(float32(v)) != v
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return false, fmt.Errorf("%w: number is not finite", ErrForm)
	}
	if !short {
		return false, fmt.Errorf("%w: float is not in its shortest form", ErrForm)
	}
	return v == 0 && !math.Signbit(v), nil
}

// half returns the value of a half-precision number.
func half(bits uint16) float64 {
	exp, frac := int(bits>>10&31), float64(bits&1023)
	v := math.Inf(1)
	switch {
	case exp == 0:
		v = math.Ldexp(frac, -24)
	case exp < 31:
		v = math.Ldexp(1024+frac, exp-25)
	case frac != 0:
		v = math.NaN()
	}
	if bits>>15 == 1 {
		return -v
	}
	return v
}

// fitsHalf reports whether a half-precision number has the value of f: its magnitude is a multiple of the step of its
// binade, below 2^16.
func fitsHalf(f float32) bool {
	v := math.Abs(float64(f))
	if v == 0 {
		return true
	}
	if v >= 65536 {
		return false
	}
	_, exp := math.Frexp(v) // v in [2^(exp-1), 2^exp)
	step := max(exp-11, -24)
	scaled := math.Ldexp(v, -step)
	return scaled == math.Trunc(scaled)
}
