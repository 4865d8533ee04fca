package infer

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrPrompt is returned for a name that no prompt of the model has.
var ErrPrompt = errors.New("unknown prompt")

// prompt is what is put before a text.
type prompt struct {
	text   string
	tokens int // that pools leave out
}

// Prompted is a model that puts one prompt before every text. It lives as long as its
// model and may be used concurrently.
type Prompted struct {
	m *Model
	p prompt
}

// Prompts are the names of the model's prompts, ascending.
func (m *Model) Prompts() []string {
	var names []string
	for _, p := range m.manifest.Meta.Prompts {
		names = append(names, p.Name)
	}
	return names
}

// Prompted is the model with the prompt of that name in place of its default one, or with
// the default one where name is "". The error wraps ErrPrompt and lists the names there are.
func (m *Model) Prompted(name string) (Prompted, error) {
	if name == "" {
		return Prompted{m, m.prompt}, nil
	}
	for _, p := range m.manifest.Meta.Prompts {
		if p.Name == name {
			return Prompted{m, m.promptOf(p.Text)}, nil
		}
	}
	return Prompted{}, NoPrompt(name, m.Prompts())
}

// NoPrompt is the error for a prompt that is none of names.
func NoPrompt(name string, names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("%w %q: the model has none", ErrPrompt, name)
	}
	return fmt.Errorf("%w %q: the model has %s", ErrPrompt, name, strings.Join(names, ", "))
}

// promptOf counts the tokens of a prompt where pools leave them out.
func (m *Model) promptOf(text string) prompt {
	p := prompt{text: text}
	if m.manifest.Meta.SkipPrompt {
		p.tokens = m.tok.PromptLength(text, m.manifest.Meta.MaxTokensPerText)
	}
	return p
}

// Embed is Model.Embed with the prompt.
func (p Prompted) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	return p.m.embed(ctx, p.p, texts)
}

// Tokens is Model.Tokens with the prompt, whose tokens count.
func (p Prompted) Tokens(text string) int { return len(p.m.ids(nil, p.p, text)) }

// Hidden is Model.Hidden with the prompt.
func (p Prompted) Hidden(ctx context.Context, text string) ([]int32, [][]float32, error) {
	return p.m.hidden(ctx, p.p, text)
}
