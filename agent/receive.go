package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skiff/agent/core"
	"skiff/agent/link"
	"skiff/agent/store"
	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/wire"
)

const (
	batchBytes  = 1 << 20 // decoded bytes of one transaction, or
	batchDelay  = 200 * time.Millisecond
	retryCommit = 2 * time.Second
)

// fetch is what the shell holds of the bundle that is coming in; core holds which pieces are where.
type fetch struct {
	digest   bundle.Digest
	kind     wire.Kind
	bundle   *bundle.Bundle // after the envelope; with index after that
	envelope [][]byte       // its pieces
	decoder  bundle.Decoder

	batch []arrival // verified, not committed
	bytes int
	due   time.Time // commit then; zero when there is nothing
}

// arrival is a verified chunk that waits for its transaction.
type arrival struct {
	index  uint32
	bundle bundle.Digest
	store.Chunk
}

// hear turns what came over the link into events.
func (a *agent) hear(e link.Event) {
	switch e.Kind {
	case link.Up:
		a.session = e.Session
		a.nonce = newNonce()
		a.queue = append(a.queue, core.Connected{Session: e.Session, Nonce: a.nonce})
	case link.Down:
		a.queue = append(a.queue, core.Disconnected{})
	case link.Message:
		defer a.link.Done(e)
		if e.Session == a.session {
			a.message(e)
		}
	}
}

func (a *agent) message(e link.Event) {
	a.log.Debug("heard", "topic", e.Topic, "bytes", len(e.Payload))
	t, err := wire.ParseTopic(e.Topic)
	if err != nil {
		return
	}
	switch t.Kind {
	case wire.KindChannelDesired, wire.KindDesired:
		a.hearDesired(e.Topic, e.Payload)
	case wire.KindAck:
		a.hearAck(e.Payload)
	case wire.KindChunk, wire.KindBroadcast:
		a.hearPiece(e.Payload)
	case wire.KindError:
		a.hearError(e.Payload)
	}
}

// hearDesired verifies a desired state. Before any fleet key is known it can only be kept for later.
func (a *agent) hearDesired(topic string, sealed []byte) {
	if len(sealed) == 0 {
		return // a cleared retained message says nothing
	}
	if !a.trust.Has(sign.RoleFleet) {
		a.heard[topic] = sealed
		return
	}
	d, err := wire.OpenDesired(a.trust, sealed)
	if err != nil {
		a.queue = append(a.queue, core.Failed{Failure: core.Failure{Class: wire.ClassRefuse, Reason: err.Error()}})
		return
	}
	_, payload, err := sign.Peek(sealed)
	if err != nil {
		return // it was just opened
	}
	a.queue = append(a.queue, core.Desired{Desired: d, Sum: bundle.Sum(payload)})
}

func (a *agent) hearAck(payload []byte) {
	ack, err := wire.ParseAck(payload)
	if err != nil || ack.Session != a.session {
		return
	}
	body := core.Acked{Session: ack.Session, Seq: ack.Seq, ForHello: len(ack.Time) > 0}
	trust := a.trust
	if ack.FleetKey != ([32]byte{}) {
		body.FleetKey = ack.FleetKey[:]
		if !trust.Has(sign.RoleFleet) {
			trust = trust.With(sign.Public{Key: ack.FleetKey, Role: sign.RoleFleet}) // about to be pinned
		}
	}
	if st, err := wire.OpenTime(trust, ack.Time); err == nil && st.Nonce == a.nonce && st.Device == a.config.ID {
		body.Time = st.Unix
	}
	a.queue = append(a.queue, body)
}

func (a *agent) hearError(payload []byte) {
	e, err := wire.ParseError(payload)
	if err != nil {
		return
	}
	reason := fmt.Sprintf("code %d", e.Code)
	if e.Reason != "" {
		reason = e.Reason
	}
	after := time.Duration(e.RetryAfterMs) * time.Millisecond
	a.queue = append(a.queue, core.ServerError{Request: e.Request, Reason: reason, RetryAfter: after})
}

// hearPiece checks a piece against what was signed, before any decoder sees it.
func (a *agent) hearPiece(payload []byte) {
	h, body, err := wire.ParseChunk(payload)
	f := &a.fetch
	if err != nil || f.digest.IsZero() || h.Bundle != wire.Short(f.digest) || h.Kind != f.kind {
		return // of something else, or late
	}
	switch h.Kind {
	case wire.Envelope:
		err = a.envelopePiece(h, body)
	case wire.Index:
		err = a.indexPart(h, body)
	case wire.Chunks:
		err = a.chunk(h, body)
	}
	if err == nil {
		return
	}
	if f := classify(err); f.Class != wire.ClassReject && f.Class != wire.ClassRefuse {
		a.queue = append(a.queue, core.Failed{Failure: f})
		return
	}
	a.log.Warn("piece is not what was signed", "kind", h.Kind, "index", h.Index, "err", err)
	a.queue = append(a.queue, core.Spoiled{Kind: h.Kind, Index: h.Index, Reason: err.Error()})
}

// envelopePiece collects the envelope. Whole, it must be the bundle that was wanted, then signed by a trusted key.
func (a *agent) envelopePiece(h wire.Chunk, body []byte) error {
	f := &a.fetch
	if int(h.Index) >= len(f.envelope) {
		return nil
	}
	f.envelope[h.Index] = body
	a.queue = append(a.queue, core.Arrived{Kind: h.Kind, Index: h.Index, Request: h.Request})
	var whole []byte
	var all []uint32
	for i, piece := range f.envelope {
		if piece == nil {
			return nil
		}
		whole, all = append(whole, piece...), append(all, uint32(i))
	}
	b, err := bundle.ParseEnvelope(whole, a.trust)
	if b == nil || b.Digest() != f.digest {
		same := err != nil && a.holdsManifest(whole)
		if !same {
			clear(f.envelope)
			for _, i := range all[:len(all)-1] {
				a.queue = append(a.queue, core.Spoiled{Kind: h.Kind, Index: i, Reason: "envelope is not of the wanted bundle"})
			}
			return fmt.Errorf("%w: envelope is not of the wanted bundle", bundle.ErrCorrupt)
		}
	}
	if err != nil {
		a.queue = append(a.queue, core.Failed{Failure: classify(fmt.Errorf("envelope: %w", err))})
		return nil
	}
	if err := a.store.PutEnvelope(f.digest, whole); err != nil {
		return err
	}
	a.queue = append(a.queue, core.Committed{Kind: h.Kind, Indexes: all})
	return nil
}

// holdsManifest reports whether an envelope that was not believed ends in the wanted manifest: then its signature is at fault, and no
// repetition helps.
func (a *agent) holdsManifest(envelope []byte) bool {
	n := int(a.state.Wish().Manifest)
	return n <= len(envelope) && bundle.Sum(envelope[len(envelope)-n:]) == a.fetch.digest
}

func (a *agent) indexPart(h wire.Chunk, body []byte) error {
	parts := a.fetch.bundle.Manifest.IndexParts
	if int(h.Index) >= len(parts) {
		return nil
	}
	if bundle.Sum(body) != parts[h.Index].Digest {
		return fmt.Errorf("%w: index part %d has another digest than the manifest says", bundle.ErrCorrupt, h.Index)
	}
	if err := a.store.PutPart(parts[h.Index].Digest, body); err != nil {
		return err
	}
	a.queue = append(a.queue,
		core.Arrived{Kind: h.Kind, Index: h.Index, Request: h.Request},
		core.Committed{Kind: h.Kind, Indexes: []uint32{h.Index}})
	return nil
}

// chunk decodes one chunk and puts it into the batch.
func (a *agent) chunk(h wire.Chunk, body []byte) error {
	f := &a.fetch
	if int(h.Index) >= len(f.bundle.Index) {
		return nil
	}
	c := f.bundle.Index[h.Index]
	a.store.Arrived(c.Digest, len(body))
	if a.store.Has(c.Digest) {
		a.queue = append(a.queue, core.Committed{Kind: h.Kind, Indexes: []uint32{h.Index}})
		return nil
	}
	for _, waiting := range f.batch {
		if waiting.Digest == c.Digest {
			return nil
		}
	}
	enc, ok := encoding(c, h)
	if !ok {
		return fmt.Errorf("%w: chunk %d in an encoding that the index does not list", bundle.ErrCorrupt, h.Index)
	}
	decoded := make([]byte, c.Length)
	if err := f.decoder.Decode(c, enc, body, decoded); err != nil {
		return err
	}
	if len(f.batch) == 0 {
		f.due = time.Now().Add(batchDelay)
	}
	f.batch = append(f.batch, arrival{h.Index, f.digest, store.Chunk{Digest: c.Digest, Data: decoded}})
	f.bytes += len(decoded)
	if f.bytes >= batchBytes {
		f.due = time.Now()
	}
	a.queue = append(a.queue, core.Arrived{Kind: h.Kind, Index: h.Index, Request: h.Request})
	return nil
}

func encoding(c bundle.Chunk, h wire.Chunk) (bundle.Encoding, bool) {
	for _, e := range c.Encodings {
		if e.Digest == h.Digest && e.Codec == h.Codec && e.Base.IsZero() {
			return e, true
		}
	}
	return bundle.Encoding{}, false
}

// flush commits the batch when it is due. At the end of the agent it is due at once, and its failure is not told any more.
func (a *agent) flush(_ context.Context, last bool) error {
	if len(a.fetch.batch) == 0 || !last && time.Now().Before(a.fetch.due) {
		return nil
	}
	if err := a.commit(); err != nil && errors.Is(err, store.ErrDamaged) {
		return a.halt(err.Error())
	}
	return nil
}

// commit writes the batch in one transaction. When the disk is full it stays in memory and is tried again.
func (a *agent) commit() error {
	f := &a.fetch
	if len(f.batch) == 0 {
		return nil
	}
	kept, err := a.keep(len(f.batch))
	var indexes []uint32
	for _, c := range f.batch[:kept] {
		f.bytes -= len(c.Data)
		if c.bundle == f.digest {
			indexes = append(indexes, c.index)
		}
	}
	f.batch = f.batch[kept:]
	if kept > 0 {
		a.queue = append(a.queue, core.Committed{Kind: wire.Chunks, Indexes: indexes})
	}
	if err != nil {
		f.due = time.Now().Add(retryCommit)
		a.queue = append(a.queue, core.Failed{Failure: classify(err)})
		return err
	}
	f.batch, f.bytes, f.due = nil, 0, time.Time{}
	return nil
}

// keep commits the first n chunks of the batch in one transaction or, where there is no room for all of them, as many as fit by
// halves: what is on disk is not fetched again. It returns how many are.
func (a *agent) keep(n int) (int, error) {
	chunks := make([]store.Chunk, n)
	for i, c := range a.fetch.batch[:n] {
		chunks[i] = c.Chunk
	}
	err := a.store.PutChunks(chunks)
	for half := n / 2; half > 0 && errors.Is(err, store.ErrFull); half /= 2 {
		if a.store.PutChunks(chunks[:half]) == nil {
			return half, err
		}
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}
