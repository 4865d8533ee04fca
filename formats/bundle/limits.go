package bundle

import "skiff/formats/sign"

// Every limit on a count or a length in a bundle. Raising one is a change of the format's reach, not of its layout: old
// readers refuse what exceeds theirs with ErrLimit.
const (
	MaxChunk       = 122_880 // decoded bytes of a chunk
	MaxEncoded     = MaxChunk
	MaxPart        = 120_000 // bytes of an index part; an envelope travels in pieces of the same size
	MaxParts       = 64
	MaxChunks      = 65_536 // 8 GB of codes
	MaxEncodings   = 8
	MaxManifest    = 4 << 20 // bytes
	MaxEnvelope    = headerSize + sign.MaxSignatures*sign.SignatureSize + MaxManifest
	MaxObjects     = 16_384
	MaxObjectBytes = 4 << 30
	MaxReadBytes   = 1 << 30 // an object that Read returns in one piece
	MaxName        = 256     // bytes of any name
	MaxText        = 64 << 10
	MaxShape       = 8 // dimensions
	MaxChannels    = 64
	MaxLabels      = 4096
	MaxPrompts     = 256
	MaxGoldens     = 64
	MaxBatch       = 256  // texts of one golden
	MaxBlocks      = 1024 // block digests of one golden
)

// maxManifestItems bounds the array elements and map pairs of a manifest in all, and with them what decoding allocates.
const maxManifestItems = 1 << 19

// Tensors of at most this many bytes share chunks with their neighbours of the same block; larger ones have their own, so
// that an unchanged tensor is an unchanged chunk.
const smallTensor = 16 << 10
