package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// check is a syntax check of the whole text.
func check(text string, depth int) error {
	s, err := New([]byte(text), depth)
	if err != nil {
		return err
	}
	if err := s.Skip(); err != nil {
		return err
	}
	return s.End()
}

func TestAccepted(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, ` { "a" : [ 1 , -2.5e+3 , true , false , null ] } `, `"\u00e9\ud83d\ude00\n"`, `0`, `-0.0`, `""`,
	} {
		if err := check(text, 4); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		text string
		off  int
		msg  string
	}{
		{``, 0, "ends"},
		{`{"a":1,"a":2}`, 7, "twice"},
		{`{"a":{"b":1,"b":1}}`, 12, "twice"},
		{`{"a":1,}`, 7, "comma"},
		{`[1,]`, 3, "comma"},
		{`[1 2]`, 3, "no comma"},
		{`{"a" 1}`, 5, "no colon"},
		{`{a:1}`, 1, "'a'"},
		{`{} {}`, 3, "after the end"},
		{`[01]`, 1, "malformed number"},
		{`[1.]`, 1, "malformed number"},
		{`[1e]`, 1, "malformed number"},
		{`[-]`, 1, "malformed number"},
		{`[NaN]`, 1, "'N'"},
		{`[nul]`, 1, "not true"},
		{`"\ud800"`, 1, "surrogate"},
		{`"\ud800\u0041"`, 1, "surrogate"},
		{`"\udc00"`, 1, "surrogate"},
		{`"\x"`, 1, "unknown escape"},
		{`"\u12g4"`, 1, "escape"},
		{"\"a\nb\"", 2, "control"},
		{`"abc`, 0, "without end"},
		{`"abc\`, 4, "without end"},
		{"\"\xff\"", 1, "UTF-8"},
		{`[[[[[1]]]]]`, 4, "nested more than 4"},
		{`{"a":{"a":{"a":{"a":{}}}}}`, 20, "nested"},
		{`[`, 1, "ends"},
	} {
		err := check(c.text, 4)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: got %v, want an error", c.text, err)
			continue
		}
		if e.Off != c.off || !strings.Contains(e.Msg, c.msg) {
			t.Errorf("%q: got %v, want %q at byte %d", c.text, e, c.msg, c.off)
		}
	}
}

func TestPath(t *testing.T) {
	err := check(`{"x":{"a":0},"y":{"b":[{"c":tru}]}}`, 8)
	if err == nil || err.Error() != "byte 28: y.b.c: a word that is not true, false or null" {
		t.Errorf("got %v", err)
	}
}

func TestTypedReads(t *testing.T) {
	s, err := New([]byte(`[7, 7.5, "a\tb", true, null, 1e400, 9223372036854775808]`), 4)
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	var f float64
	var text string
	var b bool
	err = s.Array(func(i int) (err error) {
		switch i {
		case 0:
			n, err = s.Int()
		case 1:
			f, err = s.Float()
		case 2:
			text, err = s.String()
		case 3:
			b, err = s.Bool()
		case 4:
			err = s.Null()
		case 5:
			if _, bad := s.Float(); bad == nil || !strings.Contains(bad.Error(), "out of range") {
				t.Errorf("1e400: got %v, want out of range", bad)
			}
		case 6:
			if _, bad := s.Int(); bad == nil || !strings.Contains(bad.Error(), "byte 36") {
				t.Errorf("2^63: got %v, want an error at byte 36", bad)
			}
		}
		return err
	})
	if err != nil || n != 7 || f != 7.5 || text != "a\tb" || !b {
		t.Errorf("got %v %v %q %v, %v", n, f, text, b, err)
	}
}

// FuzzSkip: what passes here passes encoding/json too, and nothing panics.
func FuzzSkip(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e3,true,null,"\ud83d\ude00"]}`, `[[[[`, `{"a":1,"a":1}`, `"\u`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if check(string(data), 16) == nil && !json.Valid(data) {
			t.Errorf("%q passed, encoding/json refuses it", data)
		}
	})
}
