// Package tokenizer turns text into model input exactly as the Hugging Face
// tokenizers library 0.22 does, from the same tokenizer.json.
//
// Data flow of one text:
//
//	text -> added tokens found in the raw text
//	     -> normalizer on each piece between them
//	     -> added tokens found in the normalized piece
//	     -> pre-tokenizer: pieces to words
//	     -> model: words to ids
//	     -> truncation -> post-processor (special tokens) -> padding
//
// Parse compiles a file's sections to components behind the small interfaces
// normalizer, preTokenizer, model, postProcessor and decoder; each interface's
// file has the one switch over component types. A type, key or value that is
// not implemented is refused by name, never ignored, because a token that is
// off by one spoils an answer silently. What is implemented: all models,
// normalizers, pre-tokenizers, post-processors and decoders of the library; of
// Oniguruma's regex syntax what needs no back reference.
//
// FromFiles starts from the files that were before tokenizer.json: it writes
// the tokenizer.json that transformers would, and parses that.
//
// Unicode properties come from tables_gen.go and tables_more_gen.go, written by
// tablegen and pinned to the versions the library uses (8.0, 9.0, 16.0 and 17.0
// side by side): those of Go change with the toolchain, and a model's tokens
// must not.
//
// It imports only the standard library, does no I/O and reads no clock.
package tokenizer

//go:generate go run ./tablegen -tables ../../../shared/tokenizers/unicode_tables.json -o tables_gen.go -more tables_more_gen.go
