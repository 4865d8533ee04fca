package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInputs(t *testing.T) {
	for _, c := range []struct {
		name, stdin string
		args        []string
		json        bool
		want        string // the inputs as JSON, or the error
	}{
		{name: "arguments", args: []string{"a", "b c", "d\te"}, want: `["a","b c",["d","e"]]`},
		{name: "arguments are no JSON", args: []string{`"a"`}, json: true, want: `["\"a\""]`},
		{name: "lines", stdin: "a\n\n b \n", want: `["a",""," b "]`},
		{name: "no last newline", stdin: "a\nb", want: `["a","b"]`},
		{name: "carriage returns", stdin: "a\r\nb\r\n", want: `["a","b"]`},
		{name: "nothing", stdin: "", want: `[]`},
		{name: "pair", stdin: "a\tb\n", want: `[["a","b"]]`},
		{name: "JSON", stdin: "\"a\\tb\\n\"\n[\"c\",\"d\"]\nplain\n", json: true, want: `["a\tb\n",["c","d"],"plain"]`},
		{name: "quotes without json", stdin: "\"a\"\n", want: `["\"a\""]`},
		{name: "broken JSON", stdin: "a\n\"b\n", json: true, want: "read line 2: byte 0: a string without end"},
		{name: "text after JSON", stdin: "\"a\" b\n", json: true, want: "read line 1: byte 4: text after the end of the JSON value"},
		{name: "half a surrogate pair", stdin: "\"\\ud800\"\n", json: true, want: "read line 1: byte 1: half of a surrogate pair"},
		{name: "null in a pair", stdin: "[\"a\",null]\n", json: true, want: "read line 1: byte 5: null where a string should stand"},
		{name: "three fields", stdin: "a\tb\tc\n", want: "read line 1: more than two fields with tabs between (a JSON string may hold tabs)"},
		{name: "argument not UTF-8", args: []string{"a\xff"}, want: `read argument "a\xff": not UTF-8`},
		{name: "three texts", stdin: "[\"a\",\"b\",\"c\"]\n", json: true, want: "read line 1: 3 texts, want a pair"},
		{name: "not UTF-8", stdin: "a\nb\xff\n", want: "read line 2: not UTF-8"},
		{name: "long", stdin: strings.Repeat("x", maxLine+2) + "\n", want: "read line 1: longer than 16777216 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := newInputs(c.args, strings.NewReader(c.stdin), c.json)
			if diff := cmp.Diff(c.want, drain(t, in)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestInputsBeforeAnError: a bad line does not take the good ones before it with it.
func TestInputsBeforeAnError(t *testing.T) {
	in := newInputs(nil, strings.NewReader("a\nb\n\xff\n"), false)
	batch, err := in.next(runBatch)
	if err != nil || len(batch) != 2 || batch[1].Text != "b" {
		t.Fatalf("first %v, %v; want the two good lines", batch, err)
	}
	for range 2 {
		if batch, err = in.next(runBatch); err == nil || len(batch) != 0 || err.Error() != "read line 3: not UTF-8" {
			t.Fatalf("then %v, %v; want the error", batch, err)
		}
	}
}

// drain reads all inputs, two at a time.
func drain(t *testing.T, in *inputs) string {
	all := []input{}
	for {
		batch, err := in.next(2)
		if err != nil {
			return err.Error()
		}
		if len(batch) == 0 {
			text, err := json.Marshal(all)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		all = append(all, batch...)
	}
}
