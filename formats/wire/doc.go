// Package wire names every MQTT topic and every message of skiff, and is the only place that knows their bytes.
//
// A device says hello, hears its desired state, asks for what it lacks, reports its status. All of it travels at QoS 0 and
// is repeated until acknowledged; whatever arrives may be late, doubled or forged, and a parser here refuses everything that
// is not exactly a message within its bounds.
//
//	skiff/1/c/{channel}/desired     sealed Desired, retained       server -> devices of a channel
//	skiff/1/d/{device}/dn/desired   sealed Desired                 server -> device
//	skiff/1/d/{device}/dn/ack       Ack                            server -> device
//	skiff/1/d/{device}/dn/chunk     Chunk header, then body        server -> device
//	skiff/1/d/{device}/dn/error     Error                          server -> device
//	skiff/1/d/{device}/up/hello     Hello                          device -> server
//	skiff/1/d/{device}/up/status    Status (also the will)         device -> server
//	skiff/1/q/{shard}/{device}      Request                        device -> server
//	skiff/1/b/{bundle}/{lane}       Chunk header, then body        server -> cohort
//
// Ids and channels are 1 to 64 characters of [A-Za-z0-9_-]; the shard is the CRC-32 (IEEE) of the id modulo 64 as two
// hexadecimal digits; a bundle is 64 hexadecimal digits; a lane is an id.
//
// Messages are deterministic CBOR maps with integer keys under the rules of package bundle (an unknown odd key is refused by
// its number, an unknown even one ignored). A Desired and a SignedTime travel in a sealed envelope of package sign. A chunk
// is 56 bytes of header and a body; integers are little-endian:
//
//	offset  size  field
//	0       1     version, 1
//	1       1     kind: 1 envelope, 2 index, 3 chunks
//	2       1     codec of the body, as in package bundle; 0 for envelope and index
//	3       1     flags, 0
//	4       4     request id
//	8       8     first bytes of the bundle's digest
//	16      4     index of the piece: envelope piece, index part or chunk
//	20      4     count of such pieces in the bundle
//	24      32    SHA-256 of the body
//	56      ...   body, not empty
//
// An envelope travels in pieces of bundle.MaxPart bytes (the last is shorter), an index in its parts, chunks in one of their
// encodings. A payload is at most MaxPayload bytes.
//
// The package imports formats/bundle, sign and canon. It must not import an MQTT client, and keeps no state.
package wire
