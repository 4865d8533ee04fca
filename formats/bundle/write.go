package bundle

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"skiff/formats/durable"
)

// WriteTo writes the whole file and returns its length. Every chunk is checked on the way. It needs a bundle that reads
// encoded chunks: of Open, Build or WithEncoded.
func (b *Bundle) WriteTo(w io.Writer) (int64, error) {
	if err := b.ready(); err != nil {
		return 0, err
	}
	if b.encoded == nil {
		return 0, fault("index", 0, ErrUnsupported, "no encoded chunks at hand")
	}
	out := &counter{w: w}
	out.write(b.Envelope)
	for _, p := range b.Parts {
		out.write(p)
	}
	buf := make([]byte, 0, MaxEncoded)
	for i, c := range b.Index {
		for j := range c.Encodings {
			if out.err != nil {
				return out.n, out.err
			}
			data, err := b.encodedChunk(context.Background(), i, j, buf)
			if err != nil {
				return out.n, err
			}
			out.write(data)
		}
	}
	return out.n, out.err
}

// counter writes, counts, and keeps the first error.
type counter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counter) write(data []byte) {
	if c.err != nil {
		return
	}
	n, err := c.w.Write(data)
	c.n, c.err = c.n+int64(n), err
}

// WriteFile writes the whole file durably: after an error or a power cut it is wholly there or not at all, and no temporary
// file is left by an error.
func (b *Bundle) WriteFile(path string) error {
	err := durable.Write(path, 0o644, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(w, 1<<20)
		if _, err := b.WriteTo(buffered); err != nil {
			return err
		}
		return buffered.Flush()
	})
	if err != nil {
		return fmt.Errorf("write bundle %s: %w", path, err)
	}
	return nil
}
