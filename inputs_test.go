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
		{name: "broken JSON", stdin: "a\n\"b\n", json: true, want: "read line 2: unexpected end of JSON input"},
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
