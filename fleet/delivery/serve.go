package delivery

import (
	"context"
	"errors"
	"time"

	"skiff/fleet/catalog"
	"skiff/fleet/state"
	"skiff/formats/bundle"
	"skiff/formats/wire"
)

// maxCredit bounds what one request may put into the broker's queue for a device, in
// bytes: all its requests together must stay far below the 64 MiB at which nats-server
// gives a client up.
const maxCredit = 4 << 20

const retryInternal = 2 * time.Second

// serve answers one request, or says why not.
func (fs *flows) serve(f *flow, r wire.Request, epoch int) {
	blobs, fault := fs.find(r)
	if fault.Code == 0 {
		fault = fs.send(f, r, epoch, blobs)
	}
	if fault.Code != 0 && fs.ctx.Err() == nil {
		fs.svc.refuse(fs.ctx, f.device, r.ID, fault)
	}
}

// find lists the pieces of the kind that is asked for.
func (fs *flows) find(r wire.Request) ([]catalog.Blob, wire.Error) {
	e, err := fs.svc.cfg.Catalog.Find(fs.ctx, r.Bundle)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil, wire.Error{Code: wire.CodeUnknown, Reason: "no such bundle"}
	case err != nil:
		return nil, fs.internal(err)
	}
	blobs := e.Chunks
	switch r.Kind {
	case wire.Envelope:
		blobs = e.Envelope
	case wire.Index:
		blobs = e.Index
	}
	if int64(r.First) >= int64(len(blobs)) {
		return nil, wire.Error{Code: wire.CodeBad, Reason: "no such piece"}
	}
	return blobs, wire.Error{}
}

func (fs *flows) internal(err error) wire.Error {
	if fs.ctx.Err() == nil {
		fs.svc.log.Warn("request not served", "error", err)
	}
	return wire.Error{Code: wire.CodeInternal, RetryAfterMs: uint32(retryInternal.Milliseconds()), Reason: "server cannot read the bundle"}
}

// send sends the pieces of r in ascending order until its credit is used up.
func (fs *flows) send(f *flow, r wire.Request, epoch int, blobs []catalog.Blob) wire.Error {
	credit := int(min(r.Credit, maxCredit))
	for bit := range len(r.Bitmap) * 8 {
		at := int64(r.First) + int64(bit)
		if at >= int64(len(blobs)) {
			break
		}
		if !r.Bitmap.Has(bit) {
			continue
		}
		size := wire.ChunkHeader + int(blobs[at].Length)
		if size > int(r.Credit) {
			return wire.Error{Code: wire.CodeBad, Reason: "credit is less than one piece"}
		}
		if credit -= size; credit < 0 {
			break
		}
		goOn, err := fs.sendPaced(f, r, epoch, blobs, uint32(at))
		if err != nil {
			return fs.internal(err)
		}
		if !goOn {
			break
		}
	}
	return wire.Error{}
}

// sendPaced sends one piece when the device's pace allows it and it is still wanted.
func (fs *flows) sendPaced(f *flow, r wire.Request, epoch int, blobs []catalog.Blob, index uint32) (goOn bool, err error) {
	send, goOn := fs.wanted(f, r, epoch, index)
	if !send || !goOn {
		return goOn, nil
	}
	size := wire.ChunkHeader + int(blobs[index].Length)
	if d := f.pace.reserve(time.Now(), size); d > 0 {
		pause(fs.ctx, d)
		if send, goOn = fs.wanted(f, r, epoch, index); !send || !goOn {
			return goOn, nil
		}
	}
	return true, fs.sendOne(f.device, r, blobs, index)
}

// sendOne publishes one piece. It takes a buffer for that time alone: devices that wait
// for their pace or for the broker's good will hold none.
func (fs *flows) sendOne(device string, r wire.Request, blobs []catalog.Blob, index uint32) error {
	buf := <-fs.buffers
	defer func() { fs.buffers <- buf }()
	b := blobs[index]
	body, err := fs.svc.cfg.Catalog.Read(fs.ctx, b)
	if err != nil {
		return err
	}
	buf = wire.AppendChunk(buf[:0], wire.Chunk{
		Kind: r.Kind, Codec: b.Codec, Request: r.ID, Bundle: wire.Short(r.Bundle),
		Index: index, Total: uint32(len(blobs)), Digest: bundle.Digest(b.Key),
	}, body)
	size := uint64(len(buf))
	fs.svc.pieces.Add(1) // before it goes: a device may have it before publish returns
	fs.svc.bytes.Add(size)
	if err := fs.svc.mouth(device).publish(fs.ctx, wire.TopicChunk(device), false, buf); err != nil {
		fs.svc.pieces.Add(^uint64(0))
		fs.svc.bytes.Add(-size)
		buf = nil // the client may still hold it
		return err
	}
	return nil
}

// refuse tells a device that a request is not served.
func (s *Service) refuse(ctx context.Context, device string, id uint32, e wire.Error) {
	e.Request = id
	data, err := e.Encode()
	if err == nil {
		err = s.mouth(device).publish(ctx, wire.TopicError(device), false, data)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Debug("error not sent", "device", device, "error", err)
	}
}
