// Package bundle reads and writes the one file skiff ships: a model that is compiled, proved and signed.
//
// A bundle is an envelope, an index and chunks. All integers are little-endian, nothing is padded, nothing may follow:
//
//	offset  size      field
//	0       8         magic "\x89SKIFF\r\n"
//	8       2         version, 1
//	10      2         count of signatures, 1 to 8
//	12      4         length of the manifest in bytes
//	16      96*count  signatures over the manifest, key ids strictly ascending (package sign)
//	...     ...       manifest: deterministic CBOR with integer keys (type Manifest)
//	...     ...       index parts, one after another: lengths and SHA-256 are in the manifest
//	...     ...       chunks, encoded, in the order of the index: lengths and SHA-256 are in the index
//
// Everything before the index parts is the envelope. A bundle's identity is the SHA-256 of the manifest bytes. The index
// parts joined are a list of entries, one per chunk:
//
//	size  field
//	32    SHA-256 of the decoded chunk
//	4     decoded length in bytes, 1 to 122,880
//	1     count of encodings, 1 to 8
//	      then for each encoding
//	1     codec: 0 raw, 1 zstd, 2 huff0, 3 fse of the difference to a base (reserved)
//	1     1 where a base follows, else 0
//	32    only with a base: SHA-256 of the decoded base chunk
//	4     encoded length in bytes
//	32    SHA-256 of the encoded bytes
//
// No entry is split between two parts and no two entries have the same digest. The first encoding of a chunk needs no base
// and has a codec that every reader of this version knows; a later one with an unknown codec is carried but not decoded.
//
// An object (a tensor, the tokenizer, the program, the kernels, golden answers) is a list of extents: chunk, offset, length.
// A chunk covers a fixed run of values of one tensor, whole rows where they fit; the small tensors of one block share chunks.
//
// # What is verified, and when
//
// Every byte is under the signature before it is parsed: the signature covers the manifest, the manifest holds the digests
// of the index parts, the index those of the chunks. OpenFile, Open and ParseEnvelope check the signature before the
// manifest reaches a decoder, WithIndex the parts before they are split into entries, Decode the encoded bytes before a
// codec sees them and the decoded ones after; Each and Read check the decoded digest again every time.
//
// # Evolution
//
// In every CBOR map an unknown odd key is refused by its number and an unknown even key is ignored, so a field that an old
// reader must not miss gets an odd number and one that it may miss an even one. Indefinite lengths, tags, repeated or
// unsorted keys and any but the shortest form of a number are refused.
//
// Data flow: Builder -> Bundle -> WriteFile; OpenFile -> Bundle -> Each or Read; on a device ParseEnvelope -> WithIndex ->
// WithSource or WithEncoded -> Each or Read. The package imports formats/sign, tensor, canon and durable, and must not know
// what a program or a tokenizer means, nor how a bundle travels.
package bundle
