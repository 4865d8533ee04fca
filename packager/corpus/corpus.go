// Package corpus holds the calibration text that ships inside the packager: short
// English sentences of everyday, news, support and machine language, written for
// skiff. Calibration counts activations over them, goldens are cut from them, and
// the quality figures of a bundle without an evaluation set are measured on them.
//
// The package imports nothing of ours.
package corpus

import (
	"crypto/sha256"
	_ "embed"
	"strings"
)

//go:embed texts.txt
var texts string

// Texts returns the sentences in their fixed order; the slice is the caller's.
func Texts() []string {
	return strings.Split(strings.TrimSuffix(texts, "\n"), "\n")
}

// Digest is the SHA-256 of the text, named beside figures measured on it.
func Digest() [32]byte { return sha256.Sum256([]byte(texts)) }
