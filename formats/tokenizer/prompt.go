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
	cut := k.truncation
	if max > 0 {
		cut = &truncation{max: max}
	}
	e, err := k.encode(prompt, nil, true, cut)
	n := len(e.IDs)
	if err != nil || n == 0 {
		return 0 // a text after it fails as well
	}
	if e.SpecialMask[n-1] == 1 || k.IsSpecial(e.IDs[n-1]) {
		n--
	}
	return n
}
