package agent

import (
	"context"
	"errors"
	"io/fs"

	"skiff/agent/core"
	"skiff/agent/link"
	"skiff/agent/store"
	"skiff/formats/bundle"
	"skiff/formats/sign"
	"skiff/formats/tokenizer"
	"skiff/formats/wire"
	"skiff/runtime/engine"
	"skiff/runtime/infer"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// verdict is one line of the table: what an error means for what happens next.
type verdict struct {
	err   error
	class wire.Class
}

// table is the only place that decides what an error means. The first line that matches counts.
func table() []verdict {
	return []verdict{
		// Our own state is impossible: stop, and look at the disk at the next start.
		{store.ErrDamaged, wire.ClassHalt},
		// The world; may pass.
		{store.ErrFull, wire.ClassRetry},
		{store.ErrMissing, wire.ClassRetry},
		{store.ErrInUse, wire.ClassRetry},
		{link.ErrOffline, wire.ClassRetry},
		{context.Canceled, wire.ClassRetry},
		{context.DeadlineExceeded, wire.ClassRetry},
		{infer.ErrClosed, wire.ClassRetry},
		// Loaded, and misbehaves on this machine.
		{infer.ErrMismatch, wire.ClassRollback},
		{infer.ErrNotFinite, wire.ClassRollback},
		// Good bytes, not for this build, not for this device.
		{sign.ErrUntrusted, wire.ClassRefuse},
		{infer.ErrIncompatible, wire.ClassRefuse},
		{infer.ErrTask, wire.ClassRefuse},
		{infer.ErrPrompt, wire.ClassRefuse},
		{infer.ErrInput, wire.ClassRefuse}, // of a golden: no device could ever answer it
		{engine.ErrMemory, wire.ClassRefuse},
		{engine.ErrNoCompiler, wire.ClassRefuse},
		{engine.ErrNoNative, wire.ClassRefuse},
		{engine.ErrByteOrder, wire.ClassRefuse},
		{kernel.ErrName, wire.ClassRefuse},
		{bundle.ErrUnsupported, wire.ClassRefuse},
		{bundle.ErrLimit, wire.ClassRefuse},
		{tokenizer.ErrUnsupported, wire.ClassRefuse},
		{tokenizer.ErrLimit, wire.ClassRefuse},
		// Bytes that are never good.
		{sign.ErrSignature, wire.ClassReject},
		{sign.ErrEnvelope, wire.ClassReject},
		{sign.ErrKey, wire.ClassReject},
		{bundle.ErrCorrupt, wire.ClassReject},
		{tokenizer.ErrCorrupt, wire.ClassReject},
		{program.ErrInvalid, wire.ClassReject},
		{wire.ErrMessage, wire.ClassReject},
		{wire.ErrTopic, wire.ClassReject},
		// The file system's own words come last: many errors wrap them.
		{fs.ErrPermission, wire.ClassRetry},
	}
}

// classify says what an error means. What is not in the table is of the world: it is tried again.
func classify(err error) core.Failure {
	if err == nil {
		return core.Failure{}
	}
	for _, v := range table() {
		if errors.Is(err, v.err) {
			return core.Failure{Class: v.class, Reason: err.Error()}
		}
	}
	return core.Failure{Class: wire.ClassRetry, Reason: err.Error()}
}
