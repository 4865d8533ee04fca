package tokenizer

import "strconv"

// Canonical returns a tokenizer.json that parses to this tokenizer with padding
// removed and truncation set to maxLength tokens, special tokens included (0:
// none); direction and strategy stay, stride goes. It has no white space, words
// are in the order of their ids and each component has one spelling, so equal
// tokenizers give equal bytes.
func (k *Tokenizer) Canonical(maxLength int) []byte {
	var cut *truncation
	if maxLength > 0 {
		cut = &truncation{max: maxLength}
		if k.truncation != nil {
			cut.strategy, cut.left = k.truncation.strategy, k.truncation.left
		}
	}
	dst := append([]byte(nil), `{"version":"1.0","truncation":`...)
	dst = cut.appendJSON(dst)
	dst = append(dst, `,"padding":null,"added_tokens":`...)
	dst = k.added.appendJSON(dst)
	dst = append(dst, `,"normalizer":`...)
	dst = k.normalizer.appendJSON(dst)
	dst = append(dst, `,"pre_tokenizer":`...)
	dst = k.preTokenizer.appendJSON(dst)
	dst = append(dst, `,"post_processor":`...)
	dst = k.postProcessor.appendJSON(dst)
	dst = append(dst, `,"decoder":`...)
	dst = k.decoder.appendJSON(dst)
	dst = append(dst, `,"model":`...)
	dst = k.model.appendJSON(dst)
	return append(dst, '}')
}

func appendBool(dst []byte, b bool) []byte { return strconv.AppendBool(dst, b) }

func appendInt(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }

// appendString appends a JSON string with no more escapes than JSON demands.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

func appendList[T any](dst []byte, list []T, item func([]byte, T) []byte) []byte {
	dst = append(dst, '[')
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = item(dst, e)
	}
	return append(dst, ']')
}

// appendType appends a component that has nothing but a type.
func appendType(dst []byte, name string) []byte {
	dst = append(dst, `{"type":`...)
	dst = appendString(dst, name)
	return append(dst, '}')
}
