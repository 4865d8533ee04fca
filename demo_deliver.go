package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"

	"skiff/fleet/api"
	"skiff/formats/sign"
)

// engines tells what runs on a device, for people.
var engines = map[string]string{"wasm": "wazero's compiler", "interp": "wazero's interpreter", "go": "pure Go"}

func (d *demo) startDevices(ctx context.Context) error {
	d.title(4, "Start three devices, each a process with its own store")
	trustFile := filepath.Join(d.dir, "trust.pem")
	fleetKey, err := d.fleetKey(ctx)
	if err != nil {
		return err
	}
	if err := sign.SavePublic(trustFile, d.key.Public(sign.RoleModel), fleetKey); err != nil {
		return err
	}
	d.newDevices(trustFile)
	for _, v := range d.devices {
		if err := v.start(); err != nil {
			return err
		}
		d.say("   %-5s %-20s %s", v.id, engines[v.kernels], v.url)
	}
	return nil
}

// fleetKey asks the service for the key it signs desired states with.
func (d *demo) fleetKey(ctx context.Context) (sign.Public, error) {
	client, err := api.NewClient(d.server.HTTP())
	if err != nil {
		return sign.Public{}, err
	}
	defer http.DefaultClient.CloseIdleConnections()
	pem, err := client.Key(ctx)
	if err != nil {
		return sign.Public{}, fmt.Errorf("ask for the fleet key: %w", err)
	}
	keys, err := sign.ParsePEM(pem)
	if err != nil || len(keys) != 1 {
		return sign.Public{}, fmt.Errorf("read the fleet key: %d keys: %w", len(keys), err)
	}
	return keys[0], nil
}

// deliver publishes the desired state, shows the downloads, and kills the last device in
// the middle of its own.
func (d *demo) deliver(ctx context.Context) error {
	state, err := d.server.SetChannel(ctx, demoChannel, d.bundle.Digest().String())
	if err != nil {
		return err
	}
	d.say("   desired state %d of channel %s is published: bundle %.12s", state.Counter, demoChannel, d.bundle.Digest())
	p := newProgress(d.out)
	victim := d.devices[len(d.devices)-1]
	errs := make([]error, len(d.devices))
	var all sync.WaitGroup
	for i, v := range d.devices {
		all.Go(func() { errs[i] = d.follow(ctx, p, v, v == victim) })
	}
	all.Wait()
	p.stop()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if victim.killed {
		d.say("   %s resumed from what it had committed:", victim.id)
	} else {
		d.say("   the bundle is so small that no device was in mid-download long enough to be killed:")
	}
	for _, v := range d.devices {
		f := v.status(ctx).Fetched
		d.say("   %-5s fetched %d bytes, of which %d twice", v.id, f.Total, f.Twice)
	}
	return nil
}

// follow shows one device's download until it has switched.
func (d *demo) follow(ctx context.Context, p *progress, v *demoDevice, kill bool) error {
	b := p.bar("   "+v.id, d.bundle.Size(), true)
	killed, at := !kill, int64(0)
	err := v.wait(ctx, "switch to the bundle", func(s deviceStatus) bool {
		if s.Total > 0 {
			b.set(s.Done, s.Total)
		}
		if !killed && s.Total > 0 && s.Done > s.Total*2/5 {
			killed, at = true, s.Done
			return true
		}
		return s.Status == "ok" && s.Active == d.bundle.Digest().String()
	})
	if err == nil && kill && v.status(ctx).Active == "" {
		v.kill()
		v.killed = true
		p.say("   %s is killed (SIGKILL) with %s and started again", v.id, megabytes(at))
		if err = v.start(); err == nil {
			return d.resume(ctx, b, v)
		}
	}
	b.done()
	return err
}

// resume is follow after the kill.
func (d *demo) resume(ctx context.Context, b *bar, v *demoDevice) error {
	defer b.done()
	return v.wait(ctx, "resume", func(s deviceStatus) bool {
		if s.Total > 0 {
			b.set(s.Done, s.Total)
		}
		return s.Status == "ok" && s.Active == d.bundle.Digest().String()
	})
}

// showProofs tells what each device did between the last byte and the switch.
func (d *demo) showProofs(ctx context.Context) error {
	d.title(5, "Verify, prove, switch")
	for _, v := range d.devices {
		s := v.status(ctx)
		if s.State != "active" || s.Active != d.bundle.Digest().String() {
			return fmt.Errorf("%s is %s with %q: %s", v.id, s.State, s.Active, s.Reason)
		}
		d.say("   %-5s signature and digests verified; %d golden batches, bits equal on %s; %s is active",
			v.id, len(d.bundle.Manifest.Goldens), engines[s.Kernels], s.Active[:12])
	}
	return nil
}
