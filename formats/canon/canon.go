// Package canon checks that bytes are the one deterministic CBOR form of a given Go type, before a decoder sees them.
//
// Decoders are lenient: they take numbers in more than one form, cut byte strings to fit arrays, and drop keys they do not
// know. What is signed or hashed must have one form only, so Check walks the bytes beside the type and refuses, with the
// offset: indefinite lengths, tags, null, repeated or unsorted keys, any but the shortest number, invalid UTF-8, a value of
// another type or out of its range, a missing field, a zero written out where the field leaves zeros out, bytes that
// follow, and more items than allowed.
//
// A struct is a map with unsigned integer keys, from tags like `cbor:"3,keyasint,omitempty"`. An unknown odd key is refused
// by its number, an unknown even one is skipped (but must be well-formed), at every level.
//
//	bytes, type -> Check -> nil, or *Error{Off, Path, Err}
//
// Check allocates nothing that grows with the input. The package imports nothing of ours and no CBOR library.
package canon

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

var (
	// ErrForm is returned when bytes are not the deterministic form of the type.
	ErrForm = errors.New("not in deterministic form")
	// ErrKey is returned when an unknown odd key stands in a map.
	ErrKey = errors.New("unknown critical key")
	// ErrItems is returned when there are more items than allowed.
	ErrItems = errors.New("too many items")
)

const maxDepth = 16

// Error says where bytes are refused.
type Error struct {
	Off  int    // byte offset
	Path string // field names from the outside in
	Err  error
}

// Error returns path, offset and cause.
func (e *Error) Error() string {
	return fmt.Sprintf("%s at byte %d: %v", e.Path, e.Off, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Check checks data against the type of v, a struct or a pointer to one. maxItems bounds array elements and map pairs in
// all. Errors are *Error around ErrForm, ErrKey or ErrItems.
func Check(data []byte, v any, maxItems int) error {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	w := &walker{data: data, items: maxItems, plans: map[reflect.Type]*plan{}}
	if _, err := w.value(t, 0); err != nil {
		return &Error{Off: w.at, Path: strings.Join(append([]string{t.Name()}, w.path...), "."), Err: err}
	}
	if w.off != len(data) {
		return &Error{Off: w.off, Path: t.Name(), Err: fmt.Errorf("%w: %d bytes follow", ErrForm, len(data)-w.off)}
	}
	return nil
}

// plan is a struct type as a map: its fields by key.
type plan struct {
	fields map[uint64]field
	needed int // fields that may not be missing
}

type field struct {
	index    int
	name     string
	optional bool
}

// planOf reads the tags of a struct type. A wrong tag is a programming error and panics.
func (w *walker) planOf(t reflect.Type) *plan {
	if p, ok := w.plans[t]; ok {
		return p
	}
	p := &plan{fields: make(map[uint64]field, t.NumField())}
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		n, err := strconv.ParseUint(key, 10, 32)
		if err != nil || !strings.HasPrefix(options, "keyasint") {
			panic("canon: field " + t.Name() + "." + f.Name + " has no integer key")
		}
		if _, ok := p.fields[n]; ok {
			panic("canon: field " + t.Name() + "." + f.Name + " repeats a key")
		}
		optional := strings.Contains(options, "omit")
		p.fields[n] = field{index: i, name: f.Name, optional: optional}
		if !optional {
			p.needed++
		}
	}
	w.plans[t] = p
	return p
}
