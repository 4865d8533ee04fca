package bundle

import (
	"errors"
	"fmt"
)

var (
	// ErrCorrupt is returned when bytes break the format or do not have the digest they should.
	ErrCorrupt = errors.New("corrupt")
	// ErrUnsupported is returned when bytes are of a version, codec or critical field that this build does not know.
	ErrUnsupported = errors.New("unsupported")
	// ErrLimit is returned when a count or length exceeds one of this build's limits.
	ErrLimit = errors.New("over a limit")
)

// Error says where in a bundle something is wrong. It unwraps to one of the sentinels, or to an error of package sign.
type Error struct {
	Section string // "header", "signatures", "manifest", "index", "chunk 17", "file"
	Off     int64  // byte offset within the section
	Err     error
}

// Error returns section, offset and cause.
func (e *Error) Error() string {
	return fmt.Sprintf("%s at byte %d: %v", e.Section, e.Off, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// fault builds an *Error around a sentinel and a detail.
func fault(section string, off int64, kind error, format string, args ...any) error {
	return &Error{Section: section, Off: off, Err: fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...))}
}
