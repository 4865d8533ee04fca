package tokenizer

import (
	"errors"
	"fmt"
)

// ErrCorrupt is returned when a file is not a well-formed tokenizer.
var ErrCorrupt = errors.New("corrupt tokenizer")

// ErrUnsupported is returned when a file needs a component that this package
// does not implement.
var ErrUnsupported = errors.New("unsupported tokenizer")

// ErrLimit is returned when a file or a text exceeds one of this package's
// bounds.
var ErrLimit = errors.New("tokenizer limit exceeded")

// errUnknown is the library's error for a model without an unknown token.
var errUnknown = errors.New("encode: a character is unknown and the model has no unk_id")

// errNoWord is the same of the other models.
var errNoWord = errors.New("encode: a word is unknown and the vocabulary lacks the unk_token")

// errGrowth is returned for a text that a hostile normalizer blows up.
var errGrowth = fmt.Errorf("normalize: %w: the text grows too much", ErrLimit)

// Error tells where in a tokenizer.json something is wrong.
type Error struct {
	Section string // path of keys, such as "model.vocab"; "json" for syntax
	Off     int    // byte offset in the file
	Reason  string
	Kind    error // ErrCorrupt, ErrUnsupported or ErrLimit
}

func (e *Error) Error() string {
	return fmt.Sprintf("%.120s: %.300s (byte %d)", e.Section, e.Reason, e.Off)
}

func (e *Error) Unwrap() error { return e.Kind }
