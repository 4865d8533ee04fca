package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"skiff/fleet/state"
	"skiff/formats/bundle"
	"skiff/packager"
)

// tamper plays a hostile server: it offers a second bundle with one byte changed in a
// chunk, then one with a byte changed in the manifest.
func (d *demo) tamper(ctx context.Context) error {
	d.title(7, "Offer tampered bundles")
	if err := d.server.StartBroker(ctx); err != nil {
		return err
	}
	next, _, err := d.packRelease(ctx, packager.Config{Release: 2, Outliers: -1, Fast: true})
	if err != nil {
		return err
	}
	if _, err := d.server.AddBundle(ctx, d.file(2)); err != nil {
		return err
	}
	chunk, err := d.spoilChunk(ctx, next)
	if err != nil {
		return fmt.Errorf("tamper with a chunk: %w", err)
	}
	d.say("   release 2, one byte of chunk %d changed on the server:", chunk)
	if err := d.offer(ctx, next.Digest()); err != nil {
		return err
	}
	forged, err := d.spoilManifest(ctx, next)
	if err != nil {
		return fmt.Errorf("tamper with a manifest: %w", err)
	}
	d.say("   release 2, one byte of the manifest changed:")
	return d.offer(ctx, forged)
}

// spoilChunk changes a byte of a chunk that no device holds, in the server's store.
func (d *demo) spoilChunk(ctx context.Context, b *bundle.Bundle) (int, error) {
	held := map[bundle.Digest]bool{}
	for _, c := range d.bundle.Index {
		held[c.Digest] = true
	}
	for i, c := range b.Index {
		if held[c.Digest] || c.Length < 1000 {
			continue
		}
		encoded, encoding, err := b.EncodedChunk(i)
		if err != nil {
			return 0, err
		}
		bad := append([]byte(nil), encoded...)
		bad[len(bad)/2] ^= 1
		return i, d.server.State().Objects().Replace(ctx, state.Key(encoding.Digest), bad)
	}
	return 0, errors.New("both releases have the same chunks")
}

// spoilManifest stores b's envelope with the last byte of its manifest changed.
func (d *demo) spoilManifest(ctx context.Context, b *bundle.Bundle) (bundle.Digest, error) {
	envelope := append([]byte(nil), b.Envelope...)
	envelope[len(envelope)-1] ^= 1
	return d.server.Plant(ctx, envelope, envelope[len(envelope)-len(b.ManifestBytes):], b.Digest())
}

// offer makes a bundle the desired state and waits until every device has refused it and
// answers as before.
func (d *demo) offer(ctx context.Context, digest bundle.Digest) error {
	if _, err := d.server.SetChannel(ctx, demoChannel, digest.String()); err != nil {
		return err
	}
	for _, v := range d.devices {
		var last deviceStatus
		err := v.wait(ctx, "refuse the tampered bundle", func(s deviceStatus) bool {
			last = s
			return s.Class == "reject" && s.Wanted == digest.String()
		})
		if err != nil {
			return err
		}
		if last.Active != d.bundle.Digest().String() {
			return fmt.Errorf("%s took the tampered bundle", v.id)
		}
		answer, err := d.ask(ctx, v)
		if err != nil {
			return fmt.Errorf("after the refusal: %w", err)
		}
		if !bytes.Equal(answer, d.answers) {
			return fmt.Errorf("%s answers otherwise after the refusal", v.id)
		}
		d.say("   %-5s refused: %s; %.12s goes on answering", v.id, last.Reason, last.Active)
	}
	return nil
}
