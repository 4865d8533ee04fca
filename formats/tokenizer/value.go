package tokenizer

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
)

// value is a JSON value with its path, for readers that report where.
type value struct {
	doc  *document
	i    uint32 // index of its node
	path string
}

func (v value) node() node { return v.doc.nodes[v.i] }

func (v value) corrupt(format string, args ...any) error {
	return v.fail(ErrCorrupt, format, args...)
}

func (v value) fail(kind error, format string, args ...any) error {
	return &Error{v.path, int(v.node().off), fmt.Sprintf(format, args...), kind}
}

// unsupported refuses a component by name.
func (v value) unsupported(typ string) error {
	return v.fail(ErrUnsupported, "unsupported type %.60q", typ)
}

func (v value) want(k kind) error {
	if got := v.node().kind; got != k {
		return v.corrupt("expected %v, got %v", k, got)
	}
	return nil
}

func (v value) isNull() bool { return v.node().kind == kindNull }

func (v value) str() (string, error) {
	if err := v.want(kindString); err != nil {
		return "", err
	}
	return string(v.doc.bytes(v.i, nil)), nil
}

func (v value) boolean() (bool, error) {
	switch v.node().kind {
	case kindTrue:
		return true, nil
	case kindFalse:
		return false, nil
	}
	return false, v.corrupt("expected true or false, got %v", v.node().kind)
}

// integer reads a whole number from 0 to limit.
func (v value) integer(limit int64) (int64, error) {
	if err := v.want(kindNumber); err != nil {
		return 0, err
	}
	text := v.doc.data[v.node().off:v.node().end]
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 || n > limit || text[0] == '-' {
		return 0, v.corrupt("expected a whole number from 0 to %d, got %.20s", limit, text)
	}
	return n, nil
}

// number reads a number.
func (v value) number() (float64, error) {
	if err := v.want(kindNumber); err != nil {
		return 0, err
	}
	text := v.doc.data[v.node().off:v.node().end]
	f := readNumber(text)
	if math.IsInf(f, 0) {
		return 0, v.corrupt("number %.20s is out of range", text)
	}
	return f, nil
}

// index reads a whole number below limit.
func (v value) index(limit int64) (int, error) {
	n, err := v.integer(limit - 1)
	return int(n), err
}

// list returns the elements of an array.
func (v value) list() (iter.Seq[value], error) {
	if err := v.want(kindArray); err != nil {
		return nil, err
	}
	return func(yield func(value) bool) {
		n := 0
		for i, end := v.i+1, v.node().next; i < end; i = v.doc.nodes[i].next {
			if !yield(value{v.doc, i, v.path + "[" + strconv.Itoa(n) + "]"}) {
				return
			}
			n++
		}
	}, nil
}

// members returns the keys and values of an object in file order.
func (v value) members() (iter.Seq2[string, value], error) {
	if err := v.want(kindObject); err != nil {
		return nil, err
	}
	return func(yield func(string, value) bool) {
		for i, end := v.i+1, v.node().next; i < end; i = v.doc.nodes[i+1].next {
			key := string(v.doc.bytes(i, nil))
			if !yield(key, value{v.doc, i + 1, v.path + "." + key}) {
				return
			}
		}
	}, nil
}

// object is a JSON object with a known set of keys. Its getters keep the first
// error, which err returns, so that readers stay straight lines.
type object struct {
	value
	fields map[string]value
	failed error
}

// object reads v, refusing duplicate keys and keys that are not in allowed.
func (v value) object(allowed ...string) *object {
	o := &object{value: v, fields: map[string]value{}}
	members, err := v.members()
	if err != nil {
		o.failed = err
		return o
	}
	for key, member := range members {
		if _, ok := o.fields[key]; ok {
			o.keep(member.corrupt("duplicate key"))
			break
		}
		if !slices.Contains(allowed, key) {
			o.keep(v.fail(ErrUnsupported, "unknown key %.60q", key))
			break
		}
		o.fields[key] = member
	}
	return o
}

func (o *object) keep(err error) {
	if o.failed == nil {
		o.failed = err
	}
}

func (o *object) err() error { return o.failed }

// get returns a member; a missing one is an error unless optional.
func (o *object) get(key string, optional bool) (value, bool) {
	if v, ok := o.fields[key]; ok {
		return v, o.failed == nil
	}
	if !optional {
		o.keep(o.corrupt("missing key %.60q", key))
	}
	return value{}, false
}

// optional returns a member that is there and not null.
func (o *object) optional(key string) (value, bool) {
	v, ok := o.get(key, true)
	return v, ok && !v.isNull()
}

func (o *object) str(key string) (s string) {
	if v, ok := o.get(key, false); ok {
		var err error
		s, err = v.str()
		o.keep(err)
	}
	return s
}

func (o *object) boolean(key string) (b bool) {
	if v, ok := o.get(key, false); ok {
		var err error
		b, err = v.boolean()
		o.keep(err)
	}
	return b
}

func (o *object) integer(key string, limit int64) (n int64) {
	if v, ok := o.get(key, false); ok {
		var err error
		n, err = v.integer(limit)
		o.keep(err)
	}
	return n
}

func (o *object) list(key string) iter.Seq[value] {
	list := func(func(value) bool) {}
	if v, ok := o.get(key, false); ok {
		seq, err := v.list()
		if o.keep(err); err == nil {
			return seq
		}
	}
	return list
}

// choice reads a string that must be one of names and returns its index.
func (o *object) choice(key string, names ...string) int {
	s := o.str(key)
	i := slices.Index(names, s)
	if i < 0 && o.failed == nil {
		v, _ := o.get(key, false)
		o.keep(v.fail(ErrUnsupported, "unsupported value %.60q", s))
	}
	return max(i, 0)
}

// optionalStr reads a string that may be missing or null.
func (o *object) optionalStr(key string) string {
	if _, ok := o.optional(key); ok {
		return o.str(key)
	}
	return ""
}

// optionalBool reads a truth value that may be missing or null.
func (o *object) optionalBool(key string) bool {
	if _, ok := o.optional(key); ok {
		return o.boolean(key)
	}
	return false
}

// typeOf returns the "type" of a component.
func (v value) typeOf() (string, error) {
	members, err := v.members()
	if err != nil {
		return "", err
	}
	if v.doc.parts++; v.doc.parts > maxComponents {
		return "", v.fail(ErrLimit, "over %d components", maxComponents)
	}
	for key, member := range members {
		if key == "type" {
			return member.str()
		}
	}
	return "", v.corrupt("missing key %.60q", "type")
}
