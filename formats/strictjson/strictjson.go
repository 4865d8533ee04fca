// Package strictjson scans JSON written by others, value by value, without
// building a tree: the caller says what it expects next and gets it or an
// error with the byte offset. It refuses what encoding/json lets pass: a key
// twice in one object, lone surrogates, invalid UTF-8, a number of the wrong
// kind, text after the value, and nesting beyond a bound. Memory is that of
// the keys of the objects that are open at one time. It decides nothing about
// what a document means.
//
//	s, err := strictjson.New(data, depth)
//	err = s.Object(func(key string) error { ... s.Int() ... })
//	err = s.End()
package strictjson

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Error is what is wrong at byte Off of the document.
type Error struct {
	Off  int
	Path string // the keys of the objects that are open there, joined by dots
	Msg  string
}

// Error says offset, path and message.
func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.Off, e.Text()) }

// Text is the error without its offset.
func (e *Error) Text() string {
	if e.Path == "" {
		return e.Msg
	}
	return e.Path + ": " + e.Msg
}

// Kind is the kind of the next value.
type Kind uint8

// The kinds of JSON values.
const (
	Object Kind = iota + 1
	Array
	String
	Number
	Bool
	Null
)

// String names the kind as an error would.
func (k Kind) String() string {
	switch k {
	case Object:
		return "an object"
	case Array:
		return "an array"
	case String:
		return "a string"
	case Number:
		return "a number"
	case Bool:
		return "a boolean"
	case Null:
		return "null"
	}
	return "nothing"
}

// Scanner reads one document from its first byte to its last. It is for one
// goroutine. After an error only the error is of use.
type Scanner struct {
	data  []byte
	pos   int
	path  []string // keys of the objects that are open
	depth int      // objects and arrays that are open
	max   int
}

// New returns a Scanner over data, which must be UTF-8 throughout. Objects and
// arrays may nest depth deep.
func New(data []byte, depth int) (*Scanner, error) {
	for i := 0; i < len(data); {
		if data[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return nil, &Error{Off: i, Msg: "invalid UTF-8"}
		}
		i += n
	}
	return &Scanner{data: data, max: depth}, nil
}

// Offset is the byte offset of the next value.
func (s *Scanner) Offset() int {
	s.space()
	return s.pos
}

// Errorf is an error at byte off.
func (s *Scanner) Errorf(off int, format string, args ...any) error {
	path := s.path
	if len(path) > 8 {
		path = append(path[:7:7], "...")
	}
	keys := make([]string, len(path))
	for i, key := range path {
		keys[i] = clip(key)
	}
	return &Error{off, strings.Join(keys, "."), fmt.Sprintf(format, args...)}
}

// End reports an error unless only white space is left.
func (s *Scanner) End() error {
	if s.space(); s.pos != len(s.data) {
		return s.Errorf(s.pos, "text after the end of the JSON value")
	}
	return nil
}

// space skips white space.
func (s *Scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek is the next byte that is not white space, 0 at the end.
func (s *Scanner) peek() byte {
	if s.space(); s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// Kind is the kind of the next value, judged by its first byte.
func (s *Scanner) Kind() (Kind, error) {
	switch c := s.peek(); {
	case c == '{':
		return Object, nil
	case c == '[':
		return Array, nil
	case c == '"':
		return String, nil
	case c == '-' || c >= '0' && c <= '9':
		return Number, nil
	case c == 't' || c == 'f':
		return Bool, nil
	case c == 'n':
		return Null, nil
	}
	if s.pos == len(s.data) {
		return 0, s.Errorf(s.pos, "the text ends where a value should stand")
	}
	return 0, s.Errorf(s.pos, "%q where a JSON value should stand", rune(s.data[s.pos]))
}

// want checks the kind of the next value.
func (s *Scanner) want(k Kind) error {
	got, err := s.Kind()
	if err != nil {
		return err
	}
	if got != k {
		return s.Errorf(s.pos, "%v where %v should stand", got, k)
	}
	return nil
}

// enter opens an object or array and leave closes it.
func (s *Scanner) enter() error {
	if s.depth++; s.depth > s.max {
		return s.Errorf(s.pos, "nested more than %d deep", s.max)
	}
	s.pos++
	return nil
}

func (s *Scanner) leave() {
	s.depth--
	s.pos++
}

// Object reads an object and calls member for each key, in order; member must
// read the value, by a method of s. A key that comes twice is an error.
func (s *Scanner) Object(member func(key string) error) error {
	if err := s.want(Object); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	seen := make(map[string]struct{})
	for first := true; s.peek() != '}'; first = false {
		if err := s.comma(first); err != nil {
			return err
		}
		off := s.Offset()
		key, err := s.String()
		if err != nil {
			return err
		}
		if _, twice := seen[key]; twice {
			return s.Errorf(off, "the key %q comes twice in one object", clip(key))
		}
		seen[key] = struct{}{}
		if s.peek() != ':' {
			return s.Errorf(s.pos, "no colon after the key %q", clip(key))
		}
		s.pos++
		s.path = append(s.path, key)
		if err := member(key); err != nil {
			return err
		}
		s.path = s.path[:len(s.path)-1]
	}
	s.leave()
	return nil
}

// Array reads an array and calls element before each of its elements; element
// must read it.
func (s *Scanner) Array(element func(i int) error) error {
	if err := s.want(Array); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	for i := 0; s.peek() != ']'; i++ {
		if err := s.comma(i == 0); err != nil {
			return err
		}
		if err := element(i); err != nil {
			return err
		}
	}
	s.leave()
	return nil
}

// comma reads the comma before every member but the first.
func (s *Scanner) comma(first bool) error {
	if first {
		return nil
	}
	if s.peek() != ',' {
		return s.Errorf(s.pos, "no comma between members")
	}
	s.pos++
	if c := s.peek(); c == '}' || c == ']' {
		return s.Errorf(s.pos, "a comma before the closing bracket")
	}
	return nil
}

// Skip reads any value and checks it: a Skip over the whole document is a
// syntax check.
func (s *Scanner) Skip() error {
	k, err := s.Kind()
	if err != nil {
		return err
	}
	switch k {
	case Object:
		return s.Object(func(string) error { return s.Skip() })
	case Array:
		return s.Array(func(int) error { return s.Skip() })
	case String:
		_, err = s.String()
	case Number:
		_, err = s.Number()
	case Bool:
		_, err = s.Bool()
	case Null:
		err = s.Null()
	}
	return err
}

// Null reads null.
func (s *Scanner) Null() error {
	if err := s.want(Null); err != nil {
		return err
	}
	return s.literal("null")
}

// Bool reads true or false.
func (s *Scanner) Bool() (bool, error) {
	if err := s.want(Bool); err != nil {
		return false, err
	}
	if s.data[s.pos] == 't' {
		return true, s.literal("true")
	}
	return false, s.literal("false")
}

// literal reads the letters of word.
func (s *Scanner) literal(word string) error {
	if end := s.pos + len(word); end <= len(s.data) && string(s.data[s.pos:end]) == word {
		s.pos = end
		return nil
	}
	return s.Errorf(s.pos, "a word that is not true, false or null")
}

// Number reads a number and returns its text.
func (s *Scanner) Number() (string, error) {
	if err := s.want(Number); err != nil {
		return "", err
	}
	start := s.pos
	if s.data[s.pos] == '-' {
		s.pos++
	}
	lead := s.pos
	if s.digits() == 0 || s.data[lead] == '0' && s.pos > lead+1 {
		return "", s.Errorf(start, "a malformed number")
	}
	if s.at('.') {
		s.pos++
		if s.digits() == 0 {
			return "", s.Errorf(start, "a malformed number")
		}
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		if s.digits() == 0 {
			return "", s.Errorf(start, "a malformed number")
		}
	}
	return string(s.data[start:s.pos]), nil
}

// at reports whether the next byte is c.
func (s *Scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

// digits skips decimal digits and returns how many.
func (s *Scanner) digits() int {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - start
}

// Int reads an integer: no fraction, no exponent, within 64 bits.
func (s *Scanner) Int() (int64, error) {
	off := s.Offset()
	text, err := s.Number()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, s.Errorf(off, "%s where an integer of at most 64 bits should stand", clip(text))
	}
	return n, nil
}

// Float reads a number as the nearest finite float64.
func (s *Scanner) Float() (float64, error) {
	off := s.Offset()
	text, err := s.Number()
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, s.Errorf(off, "%s is out of range", clip(text))
	}
	return f, nil
}

// clip shortens text for a message.
func clip(text string) string {
	if len(text) > 80 {
		return strings.ToValidUTF8(text[:77], "") + "..."
	}
	return text
}

// String reads a string with its escapes resolved.
func (s *Scanner) String() (string, error) {
	if err := s.want(String); err != nil {
		return "", err
	}
	start := s.pos
	s.pos++
	var out []byte // nil as long as the text holds no escape
	from := s.pos
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			if out == nil {
				return string(s.data[from : s.pos-1]), nil
			}
			return string(append(out, s.data[from:s.pos-1]...)), nil
		case c < ' ':
			return "", s.Errorf(s.pos, "a control character in a string")
		case c == '\\':
			out = append(out, s.data[from:s.pos]...)
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
			from = s.pos
		default:
			s.pos++
		}
	}
	return "", s.Errorf(start, "a string without end")
}

// escape reads one escape sequence, a surrogate pair included.
func (s *Scanner) escape() (rune, error) {
	start := s.pos
	if s.pos += 2; s.pos > len(s.data) {
		return 0, s.Errorf(start, "a string without end")
	}
	switch c := s.data[s.pos-1]; c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return s.unicode(start)
	}
	return 0, s.Errorf(start, "an unknown escape in a string")
}

// unicode reads the digits after \u, and the second half of a pair.
func (s *Scanner) unicode(start int) (rune, error) {
	r, ok := s.hex4()
	if !ok {
		return 0, s.Errorf(start, "a malformed \\u escape")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if s.at('\\') && s.pos+1 < len(s.data) && s.data[s.pos+1] == 'u' {
		s.pos += 2
		if low, ok := s.hex4(); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, nil
			}
		}
	}
	return 0, s.Errorf(start, "half of a surrogate pair")
}

// hex4 reads four hexadecimal digits.
func (s *Scanner) hex4() (rune, bool) {
	if s.pos+4 > len(s.data) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.data[s.pos:s.pos+4]), 16, 16)
	if err != nil {
		return 0, false
	}
	s.pos += 4
	return rune(n), true
}
