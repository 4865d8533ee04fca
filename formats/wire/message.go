package wire

import (
	"strconv"

	"skiff/formats/bundle"
	"skiff/formats/sign"
)

// Hello is a device's announcement, sent at each connection until acknowledged.
type Hello struct {
	Session uint64    `cbor:"1,keyasint"` // random, not 0, new with each start of the daemon
	Seq     uint64    `cbor:"3,keyasint"` // rises with every hello and status of the session
	Nonce   [16]byte  `cbor:"5,keyasint"` // random; the signed time answers it
	Device  string    `cbor:"7,keyasint"`
	Product string    `cbor:"9,keyasint"`
	Channel string    `cbor:"11,keyasint"`
	Agent   string    `cbor:"13,keyasint"` // build of the agent
	Counter uint64    `cbor:"15,keyasint"` // highest counter accepted from the channel
	Own     uint64    `cbor:"17,keyasint"` // highest counter accepted of the device's own desired states
	Slots   []Holding `cbor:"19,keyasint"`
	Kernels string    `cbor:"20,keyasint,omitempty"` // what runs: "avx512", "avx512+wasm", "wasm", "interp", "go"
	CPU     string    `cbor:"22,keyasint,omitempty"` // architecture and features
}

// Holding is what one model slot of a device holds. Zero digests mean nothing.
type Holding struct {
	Slot     string        `cbor:"1,keyasint"` // "default"
	Active   bundle.Digest `cbor:"3,keyasint,omitzero"`
	Previous bundle.Digest `cbor:"5,keyasint,omitzero"`
}

// State is where a slot stands. The numbers are frozen.
type State uint8

// The states of a slot.
const (
	StateIdle       State = 1
	StateFetching   State = 2
	StateVerifying  State = 3
	StateStaged     State = 4
	StateProbing    State = 5
	StateActive     State = 6
	StateRolledBack State = 7
)

// String returns the state in lower case, or the number of a state unknown here.
func (s State) String() string {
	names := [...]string{"", "idle", "fetching", "verifying", "staged", "probing", "active", "rolled back"}
	if s >= 1 && int(s) < len(names) {
		return names[s]
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// Class says what an error means for what happens next. The numbers are frozen.
type Class uint8

// The classes.
const (
	ClassNone     Class = 0
	ClassRetry    Class = 1 // the world; may pass
	ClassReject   Class = 2 // these bytes are never good
	ClassRefuse   Class = 3 // good bytes, not for this device or not now
	ClassRollback Class = 4 // installed and misbehaves
	ClassHalt     Class = 5 // the device's own state is impossible
)

// String returns the class in lower case, "" for none, or the number of a class unknown here.
func (c Class) String() string {
	names := [...]string{"", "retry", "reject", "refuse", "rollback", "halt"}
	if int(c) < len(names) {
		return names[c]
	}
	return "class(" + strconv.Itoa(int(c)) + ")"
}

// Status is a device's report, repeated until acknowledged. With Offline set it is the will of its session's connection.
type Status struct {
	Session uint64       `cbor:"1,keyasint"` // that of the hello
	Seq     uint64       `cbor:"3,keyasint"`
	Version uint64       `cbor:"5,keyasint"` // counter of the desired state the device acts on, 0 for none
	Device  string       `cbor:"7,keyasint"`
	Offline bool         `cbor:"9,keyasint,omitempty"`
	Slots   []SlotStatus `cbor:"11,keyasint"`
}

// SlotStatus is the report on one slot.
type SlotStatus struct {
	Slot          string        `cbor:"1,keyasint"`
	State         State         `cbor:"3,keyasint"`
	Bundle        bundle.Digest `cbor:"5,keyasint,omitzero"` // that is being worked on
	Active        bundle.Digest `cbor:"7,keyasint,omitzero"` // that answers
	Class         Class         `cbor:"9,keyasint,omitempty"`
	ActiveName    string        `cbor:"10,keyasint,omitempty"`
	ActiveVersion string        `cbor:"12,keyasint,omitempty"`
	Done          uint64        `cbor:"14,keyasint,omitempty"` // encoded bytes held of Bundle
	Total         uint64        `cbor:"16,keyasint,omitempty"` // encoded bytes of Bundle
	Reason        string        `cbor:"18,keyasint,omitempty"` // for people
	Refetched     uint64        `cbor:"20,keyasint,omitempty"` // encoded bytes that arrived although they were held
}

// Ack answers a hello or a status.
type Ack struct {
	Session  uint64   `cbor:"1,keyasint"`
	Seq      uint64   `cbor:"3,keyasint"`           // all up to this one are acknowledged
	Time     []byte   `cbor:"5,keyasint,omitempty"` // sealed SignedTime; answers a hello
	FleetKey [32]byte `cbor:"7,keyasint,omitzero"`  // raw public key, for a device that knows none yet
	Permits  [][]byte `cbor:"8,keyasint,omitempty"` // reserved
}

// SignedTime is what the server says the time is, for the nonce of one hello.
type SignedTime struct {
	Nonce  [16]byte `cbor:"1,keyasint"`
	Unix   int64    `cbor:"3,keyasint"` // seconds
	Device string   `cbor:"5,keyasint"`
}

// AudienceKind says whom a desired state is for. The numbers are frozen.
type AudienceKind uint8

// The kinds of audience.
const (
	AudienceChannel AudienceKind = 1
	AudienceDevice  AudienceKind = 2
)

// Audience is a channel or one device.
type Audience struct {
	Kind AudienceKind `cbor:"1,keyasint"`
	ID   string       `cbor:"3,keyasint"`
}

// Desired is what an audience is to run. It travels sealed by a fleet key.
type Desired struct {
	Product    string          `cbor:"1,keyasint"`
	Audience   Audience        `cbor:"3,keyasint"`
	Counter    uint64          `cbor:"5,keyasint"` // rises by one with every state of the audience; starts at 1
	Expires    int64           `cbor:"7,keyasint"` // Unix seconds; 0 never
	KeyID      sign.KeyID      `cbor:"9,keyasint"` // the key that seals it
	Slots      []Slot          `cbor:"11,keyasint,omitempty"`
	Recalled   []bundle.Digest `cbor:"13,keyasint,omitempty"`
	NoOverride bool            `cbor:"15,keyasint,omitempty"` // of a device: follow the channel; then there are no slots
}

// Slot is the bundle one model slot is to hold.
type Slot struct {
	Name           string        `cbor:"1,keyasint"` // "default"
	Bundle         bundle.Digest `cbor:"3,keyasint"`
	ManifestLength uint32        `cbor:"5,keyasint"` // bytes
	EnvelopeLength uint32        `cbor:"7,keyasint"` // bytes
	Floor          uint64        `cbor:"9,keyasint"` // lowest release the slot may run
}

// Kind says what pieces a request and a chunk are about. The numbers are frozen.
type Kind uint8

// The kinds of pieces.
const (
	Envelope Kind = 1
	Index    Kind = 2
	Chunks   Kind = 3
)

// Request asks for pieces of a bundle. Bit k of Bitmap, least significant first, asks for piece First+k. The server sends
// at most Credit bytes of payload, in ascending order, and forgets the request.
type Request struct {
	Session uint64        `cbor:"1,keyasint"`
	ID      uint32        `cbor:"3,keyasint"` // echoed by every chunk and error
	Bundle  bundle.Digest `cbor:"5,keyasint"`
	Kind    Kind          `cbor:"7,keyasint"`
	First   uint32        `cbor:"9,keyasint"`
	Bitmap  Bitmap        `cbor:"11,keyasint"` // the last byte is not 0
	Credit  uint32        `cbor:"13,keyasint"` // bytes
}

// Code says why a request is not served. The numbers are frozen.
type Code uint16

// The codes.
const (
	CodeBusy     Code = 1 // try again later
	CodeUnknown  Code = 2 // no such bundle
	CodeBad      Code = 3 // the request makes no sense
	CodeInternal Code = 4 // the server is at fault
)

// Error answers a request that is not served.
type Error struct {
	Request      uint32 `cbor:"1,keyasint"`
	Code         Code   `cbor:"3,keyasint"`
	RetryAfterMs uint32 `cbor:"5,keyasint,omitempty"` // 0: the device's own judgement
	Reason       string `cbor:"6,keyasint,omitempty"` // for people
}
