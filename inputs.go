package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"skiff/formats/strictjson"
)

// maxLine bounds one line of input; a longer one is not a text but a mistake.
const maxLine = 16 << 20

// input is one text, or a pair of them for tasks that compare two.
type input struct {
	Text string
	Pair *string
}

// MarshalJSON gives the text, or both as an array.
func (in input) MarshalJSON() ([]byte, error) {
	if in.Pair == nil {
		return json.Marshal(in.Text)
	}
	return json.Marshal([]string{in.Text, *in.Pair})
}

// inputs hands out the texts of a command in order: its arguments, or when there
// are none one per line of standard input.
type inputs struct {
	args  []string
	lines *bufio.Reader // nil when the texts are arguments
	json  bool          // a line that starts with " or [ is JSON
	line  int           // lines read
	err   error         // after the texts that were read before it
}

func newInputs(args []string, stdin io.Reader, asJSON bool) *inputs {
	in := &inputs{args: args, json: asJSON}
	if len(args) == 0 {
		in.lines = bufio.NewReader(stdin)
	}
	return in
}

// next returns up to max texts, none at the end. It waits for the first one only:
// who types a line gets the answer before typing another. An error comes after the
// texts before it.
func (in *inputs) next(max int) ([]input, error) {
	var batch []input
	for len(batch) < max && in.err == nil {
		one, err := in.one()
		if errors.Is(err, io.EOF) {
			return batch, nil
		}
		if err != nil {
			in.err = err
			break
		}
		batch = append(batch, one)
		if in.lines != nil && !in.ready() {
			break
		}
	}
	if len(batch) == 0 {
		return nil, in.err
	}
	return batch, nil
}

// ready reports whether another whole line can be had without waiting.
func (in *inputs) ready() bool {
	held, err := in.lines.Peek(in.lines.Buffered())
	return err == nil && bytes.IndexByte(held, '\n') >= 0
}

func (in *inputs) one() (input, error) {
	if in.lines == nil {
		if len(in.args) == 0 {
			return input{}, io.EOF
		}
		text := in.args[0]
		in.args = in.args[1:]
		if !utf8.ValidString(text) {
			return input{}, fmt.Errorf("read argument %q: not UTF-8", text)
		}
		return split(text)
	}
	text, err := in.readLine()
	if err != nil {
		return input{}, err
	}
	in.line++
	one, err := in.parse(text)
	if err != nil {
		return input{}, fmt.Errorf("read line %d: %w", in.line, err)
	}
	return one, nil
}

// readLine returns a line without its end; the last one may lack it.
func (in *inputs) readLine() (string, error) {
	var text []byte
	for {
		part, err := in.lines.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case len(text) > maxLine:
			return "", fmt.Errorf("read line %d: longer than %d bytes", in.line+1, maxLine)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(text) > 0:
			return string(text), nil
		case err != nil:
			return "", err
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
	}
}

func (in *inputs) parse(text string) (input, error) {
	if !utf8.ValidString(text) {
		return input{}, errors.New("not UTF-8")
	}
	if in.json && (strings.HasPrefix(text, `"`) || strings.HasPrefix(text, "[")) {
		return parseJSON(text)
	}
	return split(text)
}

// split parts a pair at its tab.
func split(text string) (input, error) {
	first, second, ok := strings.Cut(text, "\t")
	switch {
	case !ok:
		return input{Text: text}, nil
	case strings.Contains(second, "\t"):
		return input{}, errors.New("more than two fields with tabs between (a JSON string may hold tabs)")
	}
	return input{Text: first, Pair: &second}, nil
}

// parseJSON reads a string, or an array of two.
func parseJSON(text string) (input, error) {
	s, err := strictjson.New([]byte(text), 1)
	if err != nil {
		return input{}, err
	}
	var texts []string
	one := func(int) error {
		next, err := s.String()
		texts = append(texts, next)
		return err
	}
	if text[0] == '"' {
		err = one(0)
	} else {
		err = s.Array(one)
	}
	if err == nil {
		err = s.End()
	}
	switch {
	case err != nil:
		return input{}, err
	case text[0] == '"':
		return input{Text: texts[0]}, nil
	case len(texts) == 2:
		return input{Text: texts[0], Pair: &texts[1]}, nil
	}
	return input{}, fmt.Errorf("%d texts, want a pair", len(texts))
}
