package bundle

import (
	"fmt"
	"strconv"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// Codec says how a chunk is encoded. The numbers are frozen.
type Codec uint8

// The codecs.
const (
	CodecRaw      Codec = 0 // as it is
	CodecZstd     Codec = 1 // one zstd frame: text, programs, floats
	CodecHuff0    Codec = 2 // one huff0 block of four streams, its table in front: int8 codes
	CodecFSEDelta Codec = 3 // reserved: fse of the difference to the base chunk, modulo 256
)

// String returns the codec's name, or the number of a codec unknown here.
func (c Codec) String() string {
	switch c {
	case CodecRaw:
		return "raw"
	case CodecZstd:
		return "zstd"
	case CodecHuff0:
		return "huff0"
	case CodecFSEDelta:
		return "fse-delta"
	}
	return "codec(" + strconv.Itoa(int(c)) + ")"
}

// known reports whether this build decodes the codec.
func (c Codec) known() bool { return c <= CodecHuff0 }

// A zstd window is a power of two; this one holds any chunk.
const zstdWindow = 128 << 10

// Decode decodes one encoded chunk into dst, which must have the decoded length of c. enc is one of c.Encodings. The
// encoded bytes are compared with their digest before a codec sees them, the decoded ones after. Errors are *Error; dst is
// then undefined.
func Decode(c Chunk, enc Encoding, encoded, dst []byte) error {
	var d Decoder
	return d.Decode(c, enc, encoded, dst)
}

// Decoder decodes chunks and keeps its scratch memory between them. The zero value works. It is not for concurrent use.
type Decoder struct {
	huff *huff0.Scratch
	zstd *zstd.Decoder
}

// Decode is like the function Decode.
func (d *Decoder) Decode(c Chunk, enc Encoding, encoded, dst []byte) error {
	if err := d.decode(c, enc, encoded, dst); err != nil {
		return err
	}
	return checkDecoded(c, dst)
}

// decode is Decode without the last check, for who makes it himself.
func (d *Decoder) decode(c Chunk, enc Encoding, encoded, dst []byte) error {
	if err := checkEncoded(c, enc, encoded); err != nil {
		return err
	}
	if len(dst) != int(c.Length) {
		return fault(c.section(), 0, ErrCorrupt, "room for %d bytes, want %d", len(dst), c.Length)
	}
	if !enc.Base.IsZero() || !enc.Codec.known() {
		return fault(c.section(), 0, ErrUnsupported, "codec %s", enc.Codec)
	}
	if err := d.unpack(enc.Codec, encoded, dst); err != nil {
		return fault(c.section(), 0, ErrCorrupt, "decode %s: %v", enc.Codec, err)
	}
	return nil
}

func (d *Decoder) unpack(codec Codec, encoded, dst []byte) error {
	switch codec {
	case CodecHuff0:
		return d.unpackHuff(encoded, dst)
	case CodecZstd:
		return d.unpackZstd(encoded, dst)
	}
	if len(encoded) != len(dst) {
		return fmt.Errorf("%d raw bytes, want %d", len(encoded), len(dst))
	}
	copy(dst, encoded)
	return nil
}

func (d *Decoder) unpackHuff(encoded, dst []byte) error {
	table, streams, err := huff0.ReadTable(encoded, d.huff)
	if err != nil {
		return err
	}
	d.huff = table
	// The codec fills a slice to its capacity.
	_, err = table.Decoder().Decompress4X(dst[:0:len(dst)], streams)
	return err
}

func (d *Decoder) unpackZstd(encoded, dst []byte) error {
	if d.zstd == nil {
		var err error
		d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return err
		}
	}
	out, err := d.zstd.DecodeAll(encoded, dst[:0:len(dst)])
	if err != nil {
		return err
	}
	if len(out) != len(dst) {
		return fmt.Errorf("%d bytes, want %d", len(out), len(dst))
	}
	if &out[0] != &dst[0] { // never with a capacity limit, but nothing promises it
		copy(dst, out)
	}
	return nil
}

func checkEncoded(c Chunk, enc Encoding, encoded []byte) error {
	if len(encoded) != int(enc.Length) {
		return fault(c.section(), 0, ErrCorrupt, "%d encoded bytes, want %d", len(encoded), enc.Length)
	}
	if Sum(encoded) != enc.Digest {
		return fault(c.section(), 0, ErrCorrupt, "digest of encoded bytes differs")
	}
	return nil
}

func checkDecoded(c Chunk, decoded []byte) error { return c.compare(Sum(decoded)) }

// compare holds the digest of decoded bytes against the chunk's.
func (c Chunk) compare(sum Digest) error {
	if sum != c.Digest {
		return fault(c.section(), 0, ErrCorrupt, "digest of decoded bytes differs")
	}
	return nil
}

// encoder encodes chunks; one goroutine owns it.
type encoder struct {
	huff huff0.Scratch
	zstd *zstd.Encoder
}

func newEncoder() (*encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(zstdWindow),
		zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return nil, fmt.Errorf("start zstd: %w", err)
	}
	e := &encoder{zstd: z}
	e.huff.Reuse = huff0.ReusePolicyNone // a chunk stands alone
	return e, nil
}

// encode returns the encoding of data that pays best. Raw is left only for a saving of at least 1/64, and for codes (int8
// tensors) huff0, which decodes faster, only for as much again. The result borrows from data where it is raw.
func (e *encoder) encode(data []byte, codes bool) (Codec, []byte) {
	codec, best := CodecRaw, data
	if codes {
		// Huff0 refuses what is incompressible, and what is one repeated value, which zstd does well.
		if out, _, err := huff0.Compress4X(data, &e.huff); err == nil && pays(out, best) {
			codec, best = CodecHuff0, append([]byte(nil), out...)
		}
	}
	if out := e.zstd.EncodeAll(data, make([]byte, 0, len(data)/2)); pays(out, best) {
		codec, best = CodecZstd, out
	}
	return codec, best
}

// pays reports whether out is shorter than best by at least 1/64.
func pays(out, best []byte) bool { return len(out)+len(best)/64 < len(best) }
