package core

import (
	"time"

	"skiff/formats/bundle"
	"skiff/formats/wire"
)

// Stored is the part of the state that is written to disk, whole, at every transition.
type Stored struct {
	Phase      wire.State        `json:"phase"`
	Active     *Held             `json:"active,omitempty"`   // the one pointer
	Previous   *Held             `json:"previous,omitempty"` // active before it
	Channel    Wish              `json:"channel"`            // last accepted desired state of the channel
	Device     Wish              `json:"device"`             // and of this device alone, which goes before it
	Quarantine []Quarantined     `json:"quarantine,omitempty"`
	Floors     map[string]uint64 `json:"floors,omitempty"` // highest release ever committed, by bundle name
	Ceiling    int               `json:"ceiling,omitempty"`
	Time       int64             `json:"time,omitempty"` // latest time a fleet key vouched for, unix seconds
	FleetKey   []byte            `json:"fleet_key,omitempty"`
	Starts     int               `json:"starts,omitempty"` // loads of the active bundle begun and not ended
	Trial      Trial             `json:"trial,omitzero"`   // proofs of the target begun and not ended
	Class      wire.Class        `json:"class,omitempty"`
	Reason     string            `json:"reason,omitempty"`
}

// Held is a bundle that was proved on this device.
type Held struct {
	Digest  bundle.Digest `json:"digest"`
	Name    string        `json:"name"`
	Version string        `json:"version"`
	Release uint64        `json:"release"`
}

// Trial counts how often the proof of a bundle was begun.
type Trial struct {
	Digest bundle.Digest `json:"digest"`
	Count  int           `json:"count"`
}

// Wish is the last desired state accepted for one audience. Counter only rises.
type Wish struct {
	Counter    uint64          `json:"counter"`
	Sum        bundle.Digest   `json:"sum"`      // of the signed payload: one counter, one content
	Bundle     bundle.Digest   `json:"bundle"`   // zero: nothing wanted in this slot
	Manifest   uint32          `json:"manifest"` // bytes
	Envelope   uint32          `json:"envelope"` // bytes, the manifest included
	Floor      uint64          `json:"floor"`
	NoOverride bool            `json:"no_override,omitempty"`
	Recalled   []bundle.Digest `json:"recalled,omitempty"`
}

// Quarantined is a bundle that is not taken again before a signed desired state names it whose counter is above that of the time
// when it failed.
type Quarantined struct {
	Digest  bundle.Digest `json:"digest"`
	Channel uint64        `json:"channel"`
	Device  uint64        `json:"device"`
	Reason  string        `json:"reason"`
}

// Failure is an error after it was classified. The zero Failure is success.
type Failure struct {
	Class  wire.Class
	Reason string
}

// verdict is a target refused, and the counter of the wish that named it.
type verdict struct {
	digest  bundle.Digest
	counter uint64
}

// Facts are the claims of a verified manifest that decide whether this device may take the bundle.
type Facts struct {
	Name, Version, Product string
	Channels               []string // empty: any
	Release                uint64
	Misfit                 string // why this build cannot run it; empty when it can
}

// Piece is one message's worth of a bundle that the device lacks.
type Piece struct {
	Index uint32
	Size  int // encoded bytes

	state   pieceState
	request uint32
	spoiled int
}

type pieceState uint8

const (
	wanted  pieceState = iota
	asked              // in a request that is in flight
	waiting            // arrived, not yet committed
	done
)

// Boot is the first event: what was last persisted.
type Boot struct{ Stored Stored }

// Connected says that the broker took the connection. Nothing is sent before it took the subscriptions too.
type Connected struct {
	Session uint64
	Nonce   [16]byte
}

// Disconnected says that the connection is gone.
type Disconnected struct{}

// Acked is the fleet's answer to a hello or a status.
type Acked struct {
	Session, Seq uint64
	ForHello     bool   // it answers a hello; all messages up to Seq are acked anyway
	FleetKey     []byte // raw public key, for pinning; nil: none
	Time         int64  // unix seconds, signed by a trusted fleet key over the hello's nonce; 0 when it was not
}

// Desired is a desired state that was sealed by a trusted fleet key, the one it names.
type Desired struct {
	Desired wire.Desired
	Sum     bundle.Digest // of the payload
}

// Survey is what the store holds of a bundle. Kind and Pieces name what is missing at the first incomplete stage
// (envelope, index, chunks); no pieces means that nothing is.
type Survey struct {
	Digest      bundle.Digest
	Facts       *Facts // nil before the envelope is held
	Kind        wire.Kind
	Pieces      []Piece
	Done, Total uint64 // encoded bytes of the bundle's chunks, held and in all
}

// Arrived is a piece that came in and was verified, not yet committed.
type Arrived struct {
	Kind    wire.Kind
	Index   uint32
	Request uint32
}

// Committed is a batch of pieces that the store holds for good.
type Committed struct {
	Kind    wire.Kind
	Indexes []uint32
}

// Spoiled is a piece that came in and is not what the manifest signed.
type Spoiled struct {
	Kind   wire.Kind
	Index  uint32
	Reason string
}

// ServerError is the delivery server's refusal of a request.
type ServerError struct {
	Request    uint32
	Reason     string
	RetryAfter time.Duration
}

// Result ends a job.
type Result struct {
	Job     Job
	Failure Failure
	Kernels string // which ran, for Load and Prove
}

// Failed is an error outside any job: of a message that is not believed, or of the disk.
type Failed struct{ Failure }

// Tick is the passing of time: Wake says when the next one is due.
type Tick struct{}

func (Boot) body()         {}
func (Connected) body()    {}
func (Disconnected) body() {}
func (Acked) body()        {}
func (Desired) body()      {}
func (Survey) body()       {}
func (Arrived) body()      {}
func (Committed) body()    {}
func (Spoiled) body()      {}
func (ServerError) body()  {}
func (Result) body()       {}
func (Failed) body()       {}
func (Tick) body()         {}

// Persist writes the whole stored state in one transaction. When it cannot be written, nothing after it may be performed.
type Persist struct{ Stored Stored }

// JobKind says what a job does.
type JobKind uint8

const (
	_      JobKind = iota
	Look           // survey the store; answered by Survey
	Verify         // every byte of a bundle against its digests
	Prove          // load it and run its golden inputs; the loaded model waits for Serve
	Load           // the same at start, where a proof of the same binding need not be repeated
)

// Job is the one long piece of work under way. Its end is a Result with the same Job (for Look: a Survey).
type Job struct {
	Kind   JobKind
	Digest bundle.Digest
}

// Request asks the fleet for pieces: exactly these, in this order, at most Credit bytes.
type Request struct {
	ID      uint32
	Digest  bundle.Digest
	Kind    wire.Kind
	Indexes []uint32
	Credit  int
}

// Hello announces the device: sent at each connection and again until acked.
type Hello struct{ Hello wire.Hello }

// Report sends the state: the newest until acked.
type Report struct{ Status wire.Status }

// Serve puts the model of the last Prove or Load of this digest before the local API, and closes the former one after its last request.
type Serve struct{ Digest bundle.Digest }

// Drop closes a proved model that will not be served.
type Drop struct{ Digest bundle.Digest }

// Collect deletes what no bundle in Keep refers to.
type Collect struct{ Keep []bundle.Digest }

// Trust adds the pinned fleet key to what the device believes.
type Trust struct{ FleetKey []byte }

// Halt stops the agent: its own state is impossible.
type Halt struct{ Reason string }

func (Persist) effect() {}
func (Job) effect()     {}
func (Request) effect() {}
func (Hello) effect()   {}
func (Report) effect()  {}
func (Serve) effect()   {}
func (Drop) effect()    {}
func (Collect) effect() {}
func (Trust) effect()   {}
func (Halt) effect()    {}
