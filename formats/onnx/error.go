package onnx

import (
	"errors"
	"fmt"
	"strings"

	"skiff/formats/internal/parts"
)

// ErrFormat is returned, wrapped in an *Error, when bytes are no ONNX file that
// this package reads.
var ErrFormat = errors.New("malformed ONNX file")

// Error is a fault at a place. It matches ErrFormat.
type Error struct {
	File  string // base name; empty for bytes given to Parse
	Place string // the node or tensor; empty where the fault is of the whole file
	Off   int64  // byte offset in File; -1 where the fault has no single place
	Msg   string
}

// Error says file, place and fault.
func (e *Error) Error() string {
	text := e.File
	if text == "" {
		text = "ONNX file"
	}
	if e.Off >= 0 {
		text += fmt.Sprintf(": byte %d", e.Off)
	}
	if e.Place != "" {
		text += ": " + e.Place
	}
	return text + ": " + e.Msg
}

// Unwrap makes errors.Is(err, ErrFormat) true.
func (e *Error) Unwrap() error { return ErrFormat }

// fault is an *Error without its file, which is set by whoever knows it.
func fault(off int, place, format string, args ...any) error {
	return &Error{Place: place, Off: int64(off), Msg: fmt.Sprintf(format, args...)}
}

// within gives an *Error that names no place yet the one called place.
func within(place string, err error) error {
	if bad := (*Error)(nil); errors.As(err, &bad) && bad.Place == "" {
		bad.Place = place
	}
	return err
}

// prefix says in which kind of message a fault is.
func prefix(kind string, err error) error {
	if bad := (*Error)(nil); errors.As(err, &bad) {
		bad.Msg = kind + ": " + bad.Msg
	}
	return err
}

// inFile names the file of an error.
func inFile(name string, err error) error {
	if bad := (*Error)(nil); errors.As(err, &bad) && bad.File == "" {
		bad.File = name
	}
	if bad := (*parts.Error)(nil); errors.As(err, &bad) {
		return &Error{File: bad.File, Off: bad.Off, Msg: bad.Msg}
	}
	return err
}

// foreign says what a file is that is often mistaken for a model; "" for any
// other.
func foreign(data []byte) string {
	head := strings.TrimLeft(strings.ToLower(string(data[:min(len(data), 64)])), " \t\r\n")
	switch {
	case len(data) == 0:
		return "the file is empty"
	case strings.HasPrefix(head, "version https://git-lfs"):
		return "a git-lfs pointer, not the file itself; get it with git lfs pull"
	case strings.HasPrefix(head, "<!doctype") || strings.HasPrefix(head, "<html"):
		return "a web page, not a model; download the file itself"
	case strings.HasPrefix(head, "pk\x03\x04"):
		return "a zip archive, not an ONNX file; unpack it"
	case strings.IndexFunc(head, func(c rune) bool { return c < ' ' && c != '\t' && c != '\r' && c != '\n' || c > '~' }) < 0:
		return "a text, not an ONNX file" // a model begins with bytes that are no letters
	}
	return ""
}
