package tokenizer

// PromptLength is how many tokens of a text that begins with prompt are the prompt's, as
// sentence-transformers counts: those of the prompt by itself, cut to max (0: the file's
// own limit), less a special token at its end. An empty prompt has none, not even the
// special tokens before it.
//
// A prompt's last token may be another one, or be more, once a text follows it; the
// count is what it is all the same.
func (k *Tokenizer) PromptLength(prompt string, max int) int {
	if prompt == "" {
		return 0
	}
	ids := k.AppendIDs(nil, prompt, max)
	if n := len(ids); n > 0 && k.IsSpecial(ids[n-1]) {
		return n - 1
	}
	return len(ids)
}
